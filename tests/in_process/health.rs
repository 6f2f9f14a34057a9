//! A real HTTP server whose health answer the test chooses.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// An application that tells how many logins failed. It ends with this.
pub(crate) struct Application {
    /// Where it listens.
    pub(crate) url: String,
    asked: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Application {
    /// Starts it on loopback. `failures` gets the number of the request, from 1, and says what is answered.
    pub(crate) async fn start<F>(failures: impl Fn(usize) -> F + Send + 'static) -> Self
    where
        F: Future<Output = u32> + Send,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("its address"));
        let asked = Arc::<AtomicUsize>::default();
        let count = asked.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let number = count.fetch_add(1, Ordering::SeqCst) + 1;
                answer(stream, failures(number).await).await;
            }
        });
        Self { url, asked, task }
    }

    /// How often it was asked.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Drop for Application {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One request, one answer, one connection. A peer that went away is its own affair.
async fn answer(mut stream: TcpStream, failures: u32) {
    let (mut request, mut part) = (Vec::new(), [0; 1024]);
    while !request.ends_with(b"\r\n\r\n") {
        match stream.read(&mut part).await {
            Ok(count) if count > 0 => request.extend_from_slice(&part[..count]),
            _ => return,
        }
    }
    let body = format!(r#"{{"auth_failures": {failures}}}"#);
    let head = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
    let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
    let _ = stream.shutdown().await;
}
