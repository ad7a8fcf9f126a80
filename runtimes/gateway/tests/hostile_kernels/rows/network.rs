//! The network of the machine.

use std::net::{TcpListener, UdpSocket};

use super::row::{Row, row};
use crate::outside::TIME_TO_HAPPEN;

pub(super) const ROWS: &[Row] = &[
    row("services on 127.0.0.1", |world| {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let code = format!("print(can(connect, socket.AF_INET, ('127.0.0.1', {port})))");
        world.attack(&code) == "True\n"
    }),
    row("the same by UDP", |world| {
        let socket = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
        let port = socket.local_addr().unwrap().port();
        let sent = world.attack(&format!(
            "print(can(lambda: socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', {port}))))"
        ));
        socket.set_read_timeout(Some(TIME_TO_HAPPEN)).unwrap();
        sent == "True\n" && socket.recv(&mut [0; 10]).is_ok()
    }),
    row(
        "other devices of the network, and other machines",
        |world| {
            let code =
                "print(len([name for _, name in socket.if_nameindex() if name != 'lo']) > 0)";
            world.attack(code) == "True\n"
        },
    ),
];
