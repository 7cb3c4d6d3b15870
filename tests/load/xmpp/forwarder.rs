//! The floor: streams that are as secure as a server's, and messages that are handed on by their address. Nothing is proved, parsed, checked or kept.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// What a client of `load.rs` sends, by how it begins and ends.
const ELEMENTS: [(&str, &str); 8] = [
    ("<stream:stream", ">"),
    ("<starttls", "/>"),
    ("<auth", "</auth>"),
    ("<response", "</response>"),
    ("<iq", "</iq>"),
    ("<presence", "/>"),
    ("<message", "</message>"),
    ("</stream:stream", ">"),
];

/// Where each stream is written to, by its address.
type Streams = Arc<Mutex<HashMap<String, Writer>>>;
type Writer = Arc<tokio::sync::Mutex<Box<dyn AsyncWrite + Send + Unpin>>>;

/// Forwards on one thread until the process ends.
pub(crate) fn forward(address: &str, files: Option<(&Path, &Path)>) {
    let acceptor = files.map(|(certificate, key)| {
        let chain: Result<_, _> = CertificateDer::pem_file_iter(certificate).unwrap().collect();
        let key = PrivateKeyDer::from_pem_file(key).unwrap();
        let config =
            rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(chain.unwrap(), key);
        TlsAcceptor::from(Arc::new(config.unwrap()))
    });
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
        let listener = TcpListener::bind(address).await.unwrap();
        let streams = Streams::default();
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            tokio::spawn(greet(socket, acceptor.clone(), streams.clone()));
        }
    });
}

async fn greet(mut socket: TcpStream, acceptor: Option<TlsAcceptor>, streams: Streams) {
    socket.set_nodelay(true).unwrap();
    if let Some(acceptor) = acceptor {
        let mut bytes = [0; 1_024];
        for answer in ["<stream:features><starttls/></stream:features>", "<proceed/>"] {
            if !matches!(socket.read(&mut bytes).await, Ok(1..)) {
                return; // who asks only whether the port is open
            }
            socket.write_all(answer.as_bytes()).await.unwrap();
        }
        serve(acceptor.accept(socket).await.unwrap(), streams).await;
    } else {
        serve(socket, streams).await;
    }
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static, streams: Streams) {
    let (mut reader, writer) = tokio::io::split(stream);
    let writer: Writer = Arc::new(tokio::sync::Mutex::new(Box::new(writer)));
    let mut name = String::new();
    let mut text = String::new();
    let mut bytes = vec![0; 16 * 1_024];
    while let Ok(length @ 1..) = reader.read(&mut bytes).await {
        text.push_str(std::str::from_utf8(&bytes[..length]).unwrap());
        while let Some((begins, ends)) = ELEMENTS.iter().find(|(begins, _)| text.starts_with(begins)) {
            let Some(end) = text.find(ends).map(|at| at + ends.len()) else { break };
            let element = &text[..end];
            let answer = match *begins {
                "<stream:stream" => "<stream:features></stream:features>".to_owned(),
                // r=1,s=c2FsdA==,i=4096
                "<auth" => "<challenge>cj0xLHM9YzJGc2RBPT0saT00MDk2</challenge>".to_owned(),
                "<response" => "<success></success>".to_owned(),
                "<iq" => {
                    let id = between(element, "id='", "'").unwrap();
                    if let Some(resource) = between(element, "<resource>", "</resource>") {
                        name = format!("{:p}@floor/{resource}", Arc::as_ptr(&writer));
                        streams.lock().unwrap().insert(name.clone(), writer.clone());
                    }
                    format!("<iq type='result' id='{id}'><jid>{name}</jid></iq>")
                }
                "<message" => {
                    let to = between(element, "to='", "'").unwrap();
                    let other = streams.lock().unwrap().get(to).cloned();
                    if let Some(other) = other {
                        write(&other, element).await;
                    }
                    String::new()
                }
                "<presence" => element.to_owned(),
                _ => String::new(),
            };
            if !answer.is_empty() {
                write(&writer, &answer).await;
            }
            text.drain(..end);
        }
    }
    streams.lock().unwrap().remove(&name);
}

async fn write(to: &Writer, text: &str) {
    let mut writer = to.lock().await;
    // Who is gone hears nothing.
    let _ = writer.write_all(text.as_bytes()).await;
    let _ = writer.flush().await;
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    text.split_once(before)?.1.split_once(after).map(|(found, _)| found)
}
