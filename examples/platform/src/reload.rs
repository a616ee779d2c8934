//! Reloading: the catalog file is read every two seconds and on SIGHUP, and a good one takes effect at once.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use crate::app::App;
use crate::catalog_file::CatalogSource;
use crate::demo;
use crate::own_routes::{self, Ungated};
use crate::signals::Hangups;
use crate::start_error::{StartError, chain};

/// How often the file is read.
const PERIOD: Duration = Duration::from_secs(2);

/// Keeps the catalog in force up to date with its file.
#[derive(Debug)]
pub(crate) struct Reload {
    pub(crate) app: Arc<App>,
    pub(crate) source: CatalogSource,
    /// The routes that the gate has rules of its own for.
    pub(crate) ungated: Vec<Ungated>,
    /// What was read last, good or not, so that nothing is judged and reported twice.
    pub(crate) last: Result<String, StartError>,
}

impl Reload {
    /// Watches the file, until `stopped`.
    pub(crate) async fn run(mut self, mut hangups: Hangups, mut stopped: watch::Receiver<bool>) {
        let mut ticks = tokio::time::interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick(), if self.source.is_file() => self.look(false).await,
                () = hangups.next() => self.look(true).await,
                // Also when the sender is gone.
                _ = stopped.changed() => return,
            }
        }
    }

    /// Reads the file, and judges it if it changed or if that is `asked` for.
    async fn look(&mut self, asked: bool) {
        let read = self.source.read().map(std::borrow::Cow::into_owned);
        if read == self.last && !asked {
            return;
        }
        let judged = match &read {
            Ok(text) => self.replace(text).await,
            Err(error) => Err(error.clone()),
        };
        self.last = read;
        if let Err(error) = judged {
            for line in error.lines() {
                tracing::error!("{line}");
            }
            tracing::error!(
                problems = error.lines().len(),
                catalog = self.app.entitlements.catalog().hash().short(),
                "the new catalog cannot be used; the last good one stays in force"
            );
        }
    }

    async fn replace(&self, text: &str) -> Result<(), StartError> {
        let catalog = self.source.parse(text)?;
        // The gate has a rule for each of the platform's routes that the first catalog left open, and for no other.
        if own_routes::ungated(&catalog) != self.ungated {
            let line =
                "routes: not the same of the platform's own routes are named as at the start; start again";
            return Err(StartError::one(format!("{}: {line}", self.source.name())));
        }
        let hash = catalog.hash();
        if hash == self.app.entitlements.catalog().hash() {
            tracing::info!(catalog = hash.short(), "the catalog means what it meant before");
            return Ok(());
        }
        self.app.entitlements.set_catalog(catalog);
        tracing::info!(catalog = hash.short(), "the new catalog is in force");
        let app = &self.app;
        app.billing.publish(&app.entitlements.catalog()).await;
        if app.development.is_some() {
            let done = demo::ensure(app).await;
            app.entitlements.invalidate_all();
            if let Err(error) = done {
                tracing::warn!(error = chain(&error), "the demo companies cannot be renewed");
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use entitlements_core::MemoryStore;

    use super::*;
    use crate::environment::Environment;

    const BUILT_IN: &str = include_str!("../catalog.toml");

    fn reload(file: &Path) -> Reload {
        std::fs::write(file, BUILT_IN).unwrap();
        let source = CatalogSource::new(Some(PathBuf::from(file)), Environment::default());
        let app = App::over(Arc::new(MemoryStore::default()));
        Reload { app: Arc::new(app), source, ungated: Vec::new(), last: Ok(BUILT_IN.into()) }
    }

    #[tokio::test]
    async fn a_good_file_takes_effect_and_a_bad_one_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("catalog.toml");
        let mut reload = reload(&file);
        let hash = |reload: &Reload| reload.app.entitlements.catalog().hash();
        let first = hash(&reload);
        reload.look(false).await;
        assert_eq!(hash(&reload), first);

        std::fs::write(&file, BUILT_IN.replace("limit = 10,", "limit = 11,")).unwrap();
        reload.look(false).await;
        let second = hash(&reload);
        assert_ne!(second, first);

        for bad in [
            "schema = 1".to_owned(),
            BUILT_IN.replace("forecast", "weather"),
            BUILT_IN.replace("\"/v1/boardroom\"", "\"/v2/boardroom\""),
        ] {
            std::fs::write(&file, bad).unwrap();
            reload.look(false).await;
            assert_eq!(hash(&reload), second);
        }
        std::fs::remove_file(&file).unwrap();
        reload.look(false).await;
        assert_eq!(hash(&reload), second);

        std::fs::write(&file, BUILT_IN).unwrap();
        reload.look(false).await;
        assert_eq!(hash(&reload), first);
    }

    /// As Kubernetes mounts a `ConfigMap`: the file is behind a link to a folder, and the link is swapped.
    #[cfg(unix)]
    #[tokio::test]
    async fn a_swapped_link_takes_effect() {
        let folder = tempfile::tempdir().unwrap();
        let version = |name: &str, text: &str| {
            let version = folder.path().join(name);
            std::fs::create_dir(&version).unwrap();
            std::fs::write(version.join("catalog.toml"), text).unwrap();
            version
        };
        let (first, second) =
            (version("v1", BUILT_IN), version("v2", &BUILT_IN.replace("limit = 10,", "limit = 11,")));
        let (data, next) = (folder.path().join("..data"), folder.path().join("..next"));
        std::os::unix::fs::symlink(&first, &data).unwrap();
        let mut reload = reload(&data.join("catalog.toml"));
        let before = reload.app.entitlements.catalog().hash();
        std::os::unix::fs::symlink(&second, &next).unwrap();
        std::fs::rename(&next, &data).unwrap();
        reload.look(false).await;
        assert_ne!(reload.app.entitlements.catalog().hash(), before);
    }
}
