//! TLS in front of a server that speaks plain HTTP, and the authority that vouches for it, made on the spot. It offers
//! HTTP/2 and HTTP/1.1 as the big hosts do; whoever picks HTTP/2 gets no further than the handshake.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::{ProtocolVersion, ServerConfig};

/// Signs certificates. Nobody trusts it unless told to.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Default for Authority {
    fn default() -> Self {
        let mut parameters = CertificateParams::default();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key can be made");
        Self(CertifiedIssuer::self_signed(parameters, key).expect("a certificate can be made"))
    }
}

impl Authority {
    /// Its own certificate, for those who shall trust it.
    #[must_use]
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    fn configuration(&self, name: &str) -> ServerConfig {
        let key = KeyPair::generate().expect("a key can be made");
        let parameters = CertificateParams::new([name.to_owned()]).expect("a name that certificates can hold");
        let certificate = parameters.signed_by(&key, &self.0).expect("a certificate can be signed");
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let mut configuration = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring knows the usual versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .expect("the key belongs to the certificate");
        configuration.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        configuration
    }
}

/// A handshake that came to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handshake {
    /// Of TLS.
    pub version: Option<ProtocolVersion>,
    /// What both sides agreed to speak.
    pub protocol: Option<String>,
}

/// All connections so far.
#[derive(Debug, Default)]
struct Noted {
    accepted: usize,
    /// Of those whose handshake is over.
    handshakes: Vec<Option<Handshake>>,
}

/// Listens on 127.0.0.1 until it is dropped.
pub struct TlsFront {
    address: SocketAddr,
    noted: watch::Receiver<Noted>,
    accepting: JoinHandle<()>,
}

impl TlsFront {
    /// Passes on to `behind`, with a certificate for `name`.
    pub async fn start(authority: &Authority, name: &str, behind: SocketAddr) -> TlsFront {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("there is a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let acceptor = TlsAcceptor::from(Arc::new(authority.configuration(name)));
        let (note, noted) = watch::channel(Noted::default());
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                note.send_modify(|noted| noted.accepted += 1);
                tokio::spawn(serve(stream, acceptor.clone(), note.clone(), behind));
            }
        });
        TlsFront { address, noted, accepting }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `https://127.0.0.1:port` and the path.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("https://{}{path}", self.address)
    }

    /// What came of each connection so far; `None` where the client or we turned away. Waits for those that are under way.
    pub async fn handshakes(&self) -> Vec<Option<Handshake>> {
        let mut noted = self.noted.clone();
        let over = noted.wait_for(|noted| noted.handshakes.len() == noted.accepted).await;
        over.expect("it listens").handshakes.clone()
    }
}

impl Drop for TlsFront {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn serve(stream: TcpStream, acceptor: TlsAcceptor, note: watch::Sender<Noted>, behind: SocketAddr) {
    let accepted = acceptor.accept(stream).await.ok();
    let handshake = accepted.as_ref().map(|stream| {
        let connection = stream.get_ref().1;
        let protocol = connection.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned());
        Handshake { version: connection.protocol_version(), protocol }
    });
    note.send_modify(|noted| noted.handshakes.push(handshake));
    if let (Some(mut inside), Ok(mut outside)) = (accepted, TcpStream::connect(behind).await) {
        let _ = tokio::io::copy_bidirectional(&mut inside, &mut outside).await;
    }
}
