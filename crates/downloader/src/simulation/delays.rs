//! Threads as the simulation has them: the work is done on the one thread there is, at once, after a while.

use tokio::task::JoinHandle;

use super::chance::Chance;

#[derive(Debug)]
pub(crate) struct Delays(pub(crate) Chance);

impl Delays {
    pub(crate) fn spawn<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
        let delay = self.0.milliseconds(0..3);
        tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            work()
        })
    }
}
