#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::net::Ipv4Addr;

use super::taken::{MAX_OPEN, UNVERIFIED_LIMIT};
use super::*;

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn must_leave(seat: &Seat) -> bool {
    !lock(&seat.room.taken).has(seat.id)
}

/// A request in progress with this key's signature.
fn request_of(seat: &Arc<Seat>, key: &str) -> Permit {
    let request = seat.begin();
    request.verified(key, true).unwrap();
    request
}

fn enter(room: &Arc<Room>, count: usize) -> Vec<Arc<Seat>> {
    (0..count).map(|_| room.enter(HERE).unwrap()).collect()
}

#[test]
fn idle_connections_leave_first_and_strangers_before_them() {
    let room = Room::new(3);
    let [known, busy, idle] = <[_; 3]>::try_from(enter(&room, 3)).unwrap();
    drop(request_of(&known, "a"));
    let request = request_of(&busy, "a");
    let fourth = room.enter(HERE).unwrap();
    assert!(must_leave(&idle) && !must_leave(&known) && !must_leave(&busy));
    let held = request_of(&fourth, "a");
    let fifth = room.enter(HERE).unwrap();
    assert!(must_leave(&known));
    let terminal = request_of(&fifth, "a");
    assert!(room.enter(HERE).is_none());
    drop(request);
    let sixth = room.enter(HERE);
    assert!(sixth.is_some() && must_leave(&busy));
    drop((held, terminal));
}

#[test]
fn requests_whose_sender_is_not_known_keep_nobody_out() {
    let room = Room::new(4);
    let strangers = enter(&room, 4);
    let requests: Vec<_> = strangers.iter().map(Seat::begin).collect();
    let known = room.enter(HERE).unwrap();
    assert!(must_leave(&strangers[0]) && !must_leave(&strangers[1]));
    let request = request_of(&known, "a");
    let more = enter(&room, 4);
    assert!(strangers.iter().all(|it| must_leave(it)) && !must_leave(&known));
    // A key's earlier request makes no difference to the next that is not verified, except in the order.
    drop(request);
    let next = known.begin();
    let others = enter(&room, 3);
    assert!(!must_leave(&known));
    let of_others: Vec<_> = others.iter().map(|it| request_of(it, "b")).collect();
    assert!(room.enter(HERE).is_some() && must_leave(&known));
    drop((requests, next, more, of_others));
}

#[test]
fn an_address_of_another_machine_gets_a_quarter() {
    let other = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    let room = Room::new(8);
    let (first, second) = (room.enter(other).unwrap(), room.enter(other).unwrap());
    let third = room.enter(other).unwrap();
    assert!(must_leave(&first) && !must_leave(&second));
    let requests = (request_of(&second, "a"), request_of(&third, "a"));
    assert!(room.enter(other).is_none());
    assert!(room.enter(HERE).is_some());
    drop(requests);
}

#[test]
fn not_all_connections_may_be_idle() {
    let room = Room::new(2 * MAX_OPEN);
    let seats = enter(&room, MAX_OPEN);
    let requests: Vec<_> = seats[..2].iter().map(|it| request_of(it, "a")).collect();
    let more = enter(&room, 3);
    assert!(must_leave(&seats[2]) && !must_leave(&seats[3]));
    drop(requests);
    assert!(must_leave(&seats[3]) && must_leave(&seats[4]) && !must_leave(&seats[5]));
    assert!(!must_leave(&seats[0]));
    drop((seats, more));
    assert!(lock(&room.taken).is_empty());
}

#[test]
fn who_has_the_most_idle_connections_makes_room_for_others() {
    let room = Room::new(2 * MAX_OPEN);
    let other = room.enter(HERE).unwrap();
    drop(request_of(&other, "b"));
    let seats = enter(&room, MAX_OPEN + 100);
    for seat in &seats {
        drop(request_of(seat, "a"));
    }
    // Neither those that come, nor those of a key that has few.
    let newcomers = enter(&room, 100);
    assert!(newcomers.iter().all(|it| !must_leave(it)) && !must_leave(&other));
    let left = seats.iter().filter(|it| must_leave(it)).count();
    assert_eq!(left, 201);
    // Strangers do not drive all others out.
    let strangers = enter(&room, 2 * MAX_OPEN);
    assert!(!must_leave(&other) && !must_leave(seats.last().unwrap()));
    drop(strangers);
}

#[test]
fn a_key_leaves_room_for_the_requests_of_others() {
    let room = Room::new(4096);
    let seats = enter(&room, 1);
    let mut held = Vec::new();
    for (key, most) in [("a", 3072), ("b", 768), ("c", 192), ("d", 48)] {
        let own = held.len();
        while let request = seats[0].begin()
            && request.verified(key, true).is_ok()
        {
            held.push(request);
        }
        assert_eq!(held.len() - own, most, "{key}");
    }
    // There are no others if there is one key.
    let request = seats[0].begin();
    assert!(request.verified("a", false).is_ok());
    held.retain(|it| it.key.get().is_none_or(|key| &**key != "a"));
    assert!(seats[0].begin().verified("d", true).is_ok());
    drop((request, held, seats));
    assert!(lock(&room.taken).is_empty());
}

#[test]
fn requests_of_strangers_are_held_within_a_limit() {
    let room = Room::new(8);
    let (slow, fast, known) = (
        room.enter(HERE).unwrap(),
        room.enter(HERE).unwrap(),
        room.enter(HERE).unwrap(),
    );
    slow.received(1);
    let request = known.begin();
    request.verified("a", true).unwrap();
    known.received(2 * UNVERIFIED_LIMIT);
    fast.received(UNVERIFIED_LIMIT - 1);
    assert!(!must_leave(&slow) && !must_leave(&fast) && !must_leave(&known));
    fast.received(1);
    assert!(must_leave(&slow) && !must_leave(&fast));
    drop(fast);
    assert_eq!(lock(&room.taken).unverified(), 0);
    drop(request);
    // What comes next from it counts again.
    known.received(7);
    assert_eq!(lock(&room.taken).unverified(), 7);
}

#[test]
fn messages_that_are_not_whole_are_held_within_the_same_limit() {
    let room = Room::new(8);
    let (socket, stranger) = (room.enter(HERE).unwrap(), room.enter(HERE).unwrap());
    let request = socket.begin();
    request.verified("a", true).unwrap();
    for _ in 0..3 {
        request.awaits_message();
        socket.received(UNVERIFIED_LIMIT - 8);
    }
    assert!(!must_leave(&socket));
    // A ping in the middle of a message is not of it.
    socket.received(8);
    request.forget(8);
    // Strangers leave first.
    stranger.received(9);
    assert!(must_leave(&stranger) && !must_leave(&socket));
    socket.received(9);
    assert!(must_leave(&socket));
}
