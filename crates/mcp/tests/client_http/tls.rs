//! HTTPS with certificates that are trusted, and that are not.

use std::sync::Arc;

use mcp::client::http::Options;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::server::{json, serve};
use crate::{DONE, client, client_with};

/// An HTTPS server on `127.0.0.1` with a certificate for `name`, and options that trust it.
async fn https(name: &str) -> (u16, Options) {
    let certified = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    let certificate = certified.cert.der().clone();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if let Ok(stream) = acceptor.accept(stream).await {
                tokio::spawn(serve(stream, Arc::default(), Arc::new(|_, _: &_| json(DONE))));
            }
        }
    });
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let trusting = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (port, Options { tls: Some(Arc::new(trusting)), ..Options::default() })
}

#[tokio::test]
async fn a_trusted_server_is_spoken_to() {
    let (port, options) = https("localhost").await;
    let client = client_with(&format!("https://localhost:{port}/mcp"), options);
    client.call().await.unwrap();
    client.call().await.unwrap();
}

#[tokio::test]
async fn an_address_may_be_what_a_certificate_is_for() {
    let (port, options) = https("127.0.0.1").await;
    client_with(&format!("https://127.0.0.1:{port}/mcp"), options).call().await.unwrap();
}

#[tokio::test]
async fn a_certificate_for_another_name_means_that_nothing_was_sent() {
    let (port, options) = https("other.example").await;
    let error = client_with(&format!("https://localhost:{port}/mcp"), options).call().await.unwrap_err();
    assert!(error.nothing_was_sent());
    let begins = format!("could not connect to `localhost:{port}`: TLS failed: ");
    assert!(error.to_string().starts_with(&begins), "{error}");
}

#[tokio::test]
async fn a_certificate_that_the_system_does_not_trust_means_that_nothing_was_sent() {
    let (port, _) = https("localhost").await;
    let error = client(&format!("https://localhost:{port}/mcp")).call().await.unwrap_err();
    assert!(error.nothing_was_sent());
    assert!(error.to_string().contains("TLS failed"), "{error}");
}
