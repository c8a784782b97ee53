//! A bare relay: passes requests on and answers back, and does nothing else.
//!
//! It is what any hop costs on this machine at this moment, built from the same HTTP library; what
//! the gate costs beyond it is what judging and recording cost.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;

use crate::served;

/// One connection to the server for each connection to the relay.
type Onward = Arc<Mutex<SendRequest<Full<Bytes>>>>;

/// Says its address on standard output, and serves until standard input closes.
pub(crate) async fn serve(server: SocketAddr) -> anyhow::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    served::announced(&listener, async |listener| {
        loop {
            let (socket, _) = listener.accept().await?;
            socket.set_nodelay(true)?;
            // A connection that breaks is for whoever put load on it to notice.
            tokio::spawn(connection(socket, server));
        }
    })
    .await
}

async fn connection(socket: TcpStream, server: SocketAddr) -> anyhow::Result<()> {
    let onward = TcpStream::connect(server).await?;
    onward.set_nodelay(true)?;
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(onward)).await?;
    tokio::spawn(connection);
    let onward: Onward = Arc::new(Mutex::new(sender));
    let service = service_fn(|request| pass(request, Arc::clone(&onward)));
    Ok(http1::Builder::new().serve_connection(TokioIo::new(socket), service).await?)
}

async fn pass(request: Request<Incoming>, onward: Onward) -> Result<Response<Full<Bytes>>, Infallible> {
    let answered = async {
        let (mut head, body) = request.into_parts();
        head.headers.remove(header::CONTENT_LENGTH);
        let body = body.collect().await?.to_bytes();
        let mut onward = onward.lock().await;
        onward.ready().await?;
        let (head, body) = onward.send_request(Request::from_parts(head, Full::new(body))).await?.into_parts();
        Ok::<_, hyper::Error>(Response::from_parts(head, Full::new(body.collect().await?.to_bytes())))
    };
    Ok(answered.await.unwrap_or_else(|_| {
        let mut failed = Response::new(Full::default());
        *failed.status_mut() = StatusCode::BAD_GATEWAY;
        failed
    }))
}
