//! The runtime: where work goes on that nobody waits for, and how long to wait.

use std::fmt::Debug;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

/// A future on the heap.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Runs work in the background, and measures time for deadlines.
///
/// The handle works without one: then calls have no deadline, and nothing goes on in the background.
///
/// # Contract
///
/// `spawn` runs the future to its end, as long as the process lives. `sleep` is ready after that time, not before.
pub trait Runtime: Debug + Send + Sync + 'static {
    /// Runs `future` in the background.
    fn spawn(&self, future: BoxFuture<()>);

    /// Is ready after `duration`.
    fn sleep(&self, duration: Duration) -> BoxFuture<()>;
}

impl<R: Runtime + ?Sized> Runtime for Arc<R> {
    fn spawn(&self, future: BoxFuture<()>) {
        (**self).spawn(future);
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<()> {
        (**self).sleep(duration)
    }
}

/// The output of `future`, unless `sleep` is ready first. The future can be awaited again.
pub(crate) async fn within<F: Future + Unpin>(future: &mut F, mut sleep: BoxFuture<()>) -> Option<F::Output> {
    poll_fn(|context| {
        if let Poll::Ready(output) = Pin::new(&mut *future).poll(context) {
            return Poll::Ready(Some(output));
        }
        sleep.as_mut().poll(context).map(|()| None)
    })
    .await
}

/// The tokio runtime; its timer must be enabled.
#[cfg(feature = "tokio")]
#[derive(Clone, Debug)]
pub struct TokioRuntime(tokio::runtime::Handle);

#[cfg(feature = "tokio")]
impl TokioRuntime {
    /// The runtime that the caller runs on; `None` outside of one.
    #[must_use]
    pub fn current() -> Option<Self> {
        tokio::runtime::Handle::try_current().ok().map(Self)
    }
}

#[cfg(feature = "tokio")]
impl Runtime for TokioRuntime {
    fn spawn(&self, future: BoxFuture<()>) {
        drop(self.0.spawn(future));
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<()> {
        let _guard = self.0.enter();
        Box::pin(tokio::time::sleep(duration))
    }
}
