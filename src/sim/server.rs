//! The HTTP server: one endpoint for all services and regions.

mod dispatch;
mod scope;
mod signature;

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::sync::oneshot;

use super::Account;
use super::faults::Faults;
use super::principals::Principals;
use super::requests::{Request, RequestLog};
use super::service::CALLER_ARN;
use dispatch::Dispatcher;

/// The key of the one principal the account knows; the documentation's own example.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The access key id.
    pub access_key_id: String,
    /// The secret access key.
    pub secret_access_key: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Credentials").field("access_key_id", &self.access_key_id).finish_non_exhaustive()
    }
}

/// Serves an account on loopback until dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    credentials: Credentials,
    principals: Principals,
    requests: RequestLog,
    faults: Faults,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Starts to serve an account, on a thread of its own and a port the system chooses.
    pub fn start(account: Account) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let credentials = Credentials {
            access_key_id: "AKIAIOSFODNN7EXAMPLE".to_owned(),
            secret_access_key: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned(),
        };
        let (requests, faults) = (RequestLog::default(), Faults::default());
        let principals = Principals::of(&credentials.access_key_id, &credentials.secret_access_key, CALLER_ARN);
        let dispatcher = Dispatcher::new(account, principals.clone(), faults.clone(), requests.clone());
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new().name("simulated-aws".to_owned()).spawn(move || {
            runtime.block_on(async {
                let Ok(listener) = tokio::net::TcpListener::from_std(listener) else {
                    return;
                };
                tokio::select! {
                    () = accept(listener, Arc::new(dispatcher)) => (),
                    _ = stopped => (),
                }
            });
            runtime.shutdown_background();
        })?;
        Ok(Self { address, credentials, principals, requests, faults, stop: Some(stop), thread: Some(thread) })
    }

    /// The URL of all services: `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The key to sign requests with.
    #[must_use]
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// Every request answered so far.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.requests.all()
    }

    /// Waits until this holds of all requests answered so far.
    pub async fn until(&self, holds: impl Fn(&[Request]) -> bool) {
        self.requests.until(holds).await;
    }

    /// Adds an account of the same organization: with a role of it, its own disks, networks and history are seen.
    pub fn add_member(&self, number: &str, account: Account) {
        self.principals.add_member(number, account);
    }

    /// Lets roles be assumed only by those who know this.
    pub fn require_external_id(&self, id: &str) {
        self.principals.require_external_id(id);
    }

    /// Lets roles be assumed only with a second factor, whose device shows this code next. It is good once.
    pub fn require_second_factor(&self, serial: &str, code: &str) {
        self.principals.require_second_factor(serial, code);
    }

    /// What is to go wrong.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.faults
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic in the server has been reported where it happened.
            drop(thread.join());
        }
    }
}

async fn accept(listener: tokio::net::TcpListener, dispatcher: Arc<Dispatcher>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        // Without this, small answers wait for acknowledgements.
        if stream.set_nodelay(true).is_err() {
            continue;
        }
        let dispatcher = Arc::clone(&dispatcher);
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let dispatcher = Arc::clone(&dispatcher);
                async move { dispatcher.answer(request).await }
            });
            // A connection that breaks is the client's to notice.
            drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
        });
    }
}

#[cfg(test)]
mod tests;
