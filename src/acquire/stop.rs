//! The signal that ends a collection in order.

use tokio::sync::watch;

/// The signal that ends a collection in order.
#[derive(Clone, Debug)]
pub struct Stop(watch::Receiver<bool>);

/// What gives the signal.
#[derive(Clone, Debug)]
pub struct StopSwitch(watch::Sender<bool>);

impl Stop {
    /// A signal and what gives it.
    #[must_use]
    pub fn pair() -> (StopSwitch, Self) {
        let (sender, receiver) = watch::channel(false);
        (StopSwitch(sender), Self(receiver))
    }

    /// Waits for the signal; forever, if nobody can give it any more.
    pub async fn requested(&mut self) {
        if self.0.wait_for(|stop| *stop).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl StopSwitch {
    /// Gives the signal.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}
