//! Kernels of Sorna v2 found by their tokens, as the extension `match` does: none is created.

use crate::common::{Client, gateway_with};
use sorna_core::{
    AccessKey, Credentials, Info, KernelId, MatchSessions, SecretKey, SessionSummary, SessionToken,
};

fn find(client: &Client, text: &str) -> Vec<SessionSummary> {
    let find = MatchSessions::new(text).with_extension(true);
    let mut found = client.call(&find).unwrap();
    found.sort_by(|one, other| one.image.cmp(&other.image));
    found
}

#[test]
fn kernels_are_found_by_token_and_by_id_and_only_by_their_key() {
    let pair = |key: &str| {
        let secret = SecretKey::new("secret").unwrap();
        Credentials::new(AccessKey::new(key).unwrap(), secret)
    };
    let gateway = gateway_with(|config| config.with_credentials([pair("KEYONE"), pair("KEYTWO")]));
    let (client, stranger) = (Client::with_key(&gateway, 0), Client::with_key(&gateway, 1));
    let token = || SessionToken::new("my-token").unwrap();
    assert_eq!(find(&client, "my-token"), []);
    let bash = client.create_as("bash", token());
    // Two languages have one token.
    let perl = client.create_as("perl", token());
    let odd = client.create_as("bash", SessionToken::new("a/b c d é").unwrap());
    let of = |id: &KernelId, name: &str, language: &str| {
        (id.clone(), name.to_owned(), language.to_owned())
    };
    for (text, expected) in [
        (
            "my-token",
            vec![of(&bash, "my-token", "bash"), of(&perl, "my-token", "perl")],
        ),
        ("a/b c d é", vec![of(&odd, "a/b c d é", "bash")]),
        (perl.as_str(), vec![of(&perl, "my-token", "perl")]),
        ("my-toke", vec![]),
        ("", vec![]),
    ] {
        let found = find(&client, text).into_iter();
        let found: Vec<_> = found
            .map(|it| (it.id, it.name, it.image.unwrap()))
            .collect();
        assert_eq!(found, expected, "{text}");
        assert_eq!(find(&stranger, text), [], "{text}");
    }
    client.destroy(&bash);
    let left = find(&client, "my-token");
    assert_eq!(left.len(), 1);
    assert_eq!((&left[0].id, &*left[0].status), (&perl, "RUNNING"));
    assert_eq!(gateway.stats().kernels, 2, "none was created");
}

#[test]
fn requests_by_token_are_told_why_its_last_kernel_ended() {
    let pair = |key: &str| {
        let secret = SecretKey::new("secret").unwrap();
        Credentials::new(AccessKey::new(key).unwrap(), secret)
    };
    let gateway = gateway_with(|config| config.with_credentials([pair("KEYONE"), pair("KEYTWO")]));
    let (client, stranger) = (Client::with_key(&gateway, 0), Client::with_key(&gateway, 1));
    let why = |client: &Client, text: &str| {
        let info = Info::new(KernelId::new(text).unwrap());
        client.call(&info).unwrap_err().to_string()
    };
    let words = "the kernel was destroyed by a request";
    for text in ["my-token", "a/b c d é", "q29ybmVyLXN0b25lLWlkcw"] {
        let token = || SessionToken::new(text).unwrap();
        assert!(!why(&client, text).contains(words), "{text}");
        let bash = client.create_as("bash", token());
        assert!(!why(&client, text).contains(words), "{text}");
        let perl = client.create_as("perl", token());
        client.destroy(&perl);
        // There is one.
        assert!(!why(&client, text).contains(words), "{text}");
        client.destroy(&bash);
        assert!(why(&client, text).contains(words), "{text}");
        assert!(!why(&stranger, text).contains(words), "{text}");
        let bash = client.create_as("bash", token());
        assert!(!why(&client, text).contains(words), "{text}");
        client.destroy(&bash);
    }
    assert_eq!(gateway.stats().kernels, 0);
}
