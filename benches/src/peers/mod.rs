//! Engines that others use for the same decision, each as its own introduction does it.

mod casbin;
mod cedar;
mod rego;

pub(crate) use casbin::Casbin;
pub(crate) use cedar::Cedar;
pub(crate) use rego::Rego;

use crate::Failure;
use crate::world::{Question, World};

/// An engine that can answer the questions of a world.
pub(crate) trait Engine {
    /// A question in the engine's own form.
    type Input;

    /// Makes that form out of the plain words of a question.
    fn input(&self, world: &World, question: &Question) -> Result<Self::Input, Failure>;

    /// Whether it is allowed.
    fn decide(&self, input: &Self::Input) -> Result<bool, Failure>;
}
