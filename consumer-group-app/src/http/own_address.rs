//! Where this group itself is reached, as far as it can know.
//!
//! What else leads here, such as another name, is noticed by its health check: a group says that it is one.

use std::net::{IpAddr, SocketAddr, UdpSocket};

use protocol::ConsumerId;

/// The address of the REST API.
#[derive(Debug, Clone)]
pub(crate) struct OwnAddress {
    bound: SocketAddr,
    host_name: String,
}

impl OwnAddress {
    /// Of a listener that is bound there.
    pub(crate) fn new(bound: SocketAddr) -> Self {
        let host_name = gethostname::gethostname();
        Self {
            bound,
            host_name: host_name.to_string_lossy().to_ascii_lowercase(),
        }
    }

    /// Whether a consumer of this id would be this group.
    pub(crate) fn is(&self, id: &ConsumerId) -> bool {
        id.port() == self.bound.port() && self.is_host(id.host())
    }

    fn is_host(&self, host: &str) -> bool {
        let own = self.bound.ip().to_canonical();
        let listens_everywhere = own.is_unspecified();
        match host.trim_matches(['[', ']']).parse::<IpAddr>() {
            Ok(address) if address.is_unspecified() => listens_everywhere || own.is_loopback(),
            Ok(address) => address == own || (listens_everywhere && is_of_this_machine(address)),
            Err(_) => match host.trim_end_matches('.') {
                "localhost" => listens_everywhere || own.is_loopback(),
                name => name == self.host_name && !own.is_loopback(),
            },
        }
    }
}

/// An address can be bound only on the machine that has it; nothing is sent.
fn is_of_this_machine(address: IpAddr) -> bool {
    UdpSocket::bind((address, 0)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_knows_itself_by_address_and_name_and_no_neighbour() {
        let is_own = |bound: &str, id: &str| {
            OwnAddress::new(bound.parse().unwrap()).is(&id.parse().unwrap())
        };
        for id in [
            "127.0.0.1:5000",
            "localhost.:5000",
            "[::ffff:127.0.0.1]:5000",
            "0.0.0.0:5000",
        ] {
            assert!(is_own("127.0.0.1:5000", id), "{id}");
            assert!(is_own("0.0.0.0:5000", id), "{id}");
        }
        for id in [
            "127.0.0.1:5001",
            "127.0.0.2:5000",
            "192.0.2.1:5000",
            "worker:5000",
        ] {
            assert!(!is_own("127.0.0.1:5000", id), "{id}");
        }
        assert!(
            is_own("[::]:5000", "127.0.0.2:5000"),
            "all of 127/8 leads here"
        );
        assert!(!is_own("[::]:5000", "192.0.2.1:5000"));
    }
}
