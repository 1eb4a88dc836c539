//! What a consumer registers as: the host and port the group reaches it at.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use protocol::ConsumerId;
use service_kit::{resolver::Resolver, telemetry::chain};

use crate::{
    ConsumerSettings, WorkerError,
    settings::{GroupSettings, Intake},
};

/// An address that no machine has (RFC 5737): what leads there leads to everything that is not near.
const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

/// The id of a consumer that listens there.
pub(crate) async fn consumer_id(
    settings: &ConsumerSettings,
    bound: SocketAddr,
) -> Result<ConsumerId, WorkerError> {
    let host = match &settings.consumer.advertised_host {
        Some(host) => host.clone(),
        None if bound.ip().is_unspecified() => own_host(settings, bound).await,
        None => settings.rest_api.host.clone(),
    };
    let port = settings.consumer.advertised_port.unwrap_or(bound.port());
    ConsumerId::new(&host, port).map_err(|cause| {
        WorkerError::Setting(format!(
            "cannot register under this name; set --advertisedHost, --advertisedPort: {}",
            chain(&cause)
        ))
    })
}

/// The host of a consumer that listens on all addresses.
///
/// A loopback address would lead other groups astray: they have the same list of consumers.
async fn own_host(settings: &ConsumerSettings, bound: SocketAddr) -> String {
    let address = match settings.consumer.intake {
        Intake::Push => address_towards(&settings.consumer_group_app, bound).await,
        // It registers nowhere.
        Intake::Pull => None,
    };
    match address {
        Some(address) if !address.is_loopback() => address.to_string(),
        _ => gethostname::gethostname().to_string_lossy().into_owned(),
    }
}

/// The address that connections to the group come from, of those that the listener takes.
async fn address_towards(group: &GroupSettings, bound: SocketAddr) -> Option<IpAddr> {
    // The group's name may not be known before the group is there.
    let found = Resolver::default().look_up(&group.host).await;
    let found = found.unwrap_or_else(|_| vec![ELSEWHERE]);
    let mut fit = found
        .into_iter()
        .filter(|address| bound.is_ipv6() || address.is_ipv4());
    fit.find_map(|address| local_address(SocketAddr::new(address, group.port)))
}

/// The address that what is sent there comes from; nothing is sent.
fn local_address(towards: SocketAddr) -> Option<IpAddr> {
    let any = match towards {
        SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect(towards).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn a_listener_sees_the_address_that_was_foretold() {
        for own in ["127.0.0.1:0", "127.0.0.2:0"] {
            let listener = TcpListener::bind(own).unwrap();
            let at = listener.local_addr().unwrap();
            let foretold = local_address(at).unwrap();
            let _stream = TcpStream::connect(at).unwrap();
            assert_eq!(listener.accept().unwrap().1.ip(), foretold);
        }
    }
}
