//! Who is a caller and who is not.

use std::collections::BTreeSet;

use assent_engine::caller::Obligations;
use axum::http::HeaderValue;

use super::*;

fn registered(id: &str, credential: Credential) -> RegisteredCaller {
    let caller = Caller {
        id: id.into(),
        organizations: BTreeSet::new(),
        rights: BTreeSet::new(),
        obligations: Obligations::All,
        environment: "test".into(),
    };
    RegisteredCaller { caller, credential }
}

fn keyed(id: &str, key: &str) -> RegisteredCaller {
    registered(id, Credential::KeySha256(key_digest(key)))
}

fn callers() -> Callers {
    Callers::new([
        keyed("portal", "k-portal"),
        keyed("gateway", "k-gateway"),
        registered("here", Credential::Loopback),
    ])
    .unwrap()
}

fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
    let field = |(name, value): &(&'static str, &str)| {
        (HeaderName::from_static(name), HeaderValue::from_bytes(value.as_bytes()).unwrap())
    };
    let mut map = HeaderMap::new();
    for (name, value) in fields.iter().map(field) {
        map.append(name, value);
    }
    map
}

fn connection(peer: &str, listener: &str) -> Connection {
    Connection { peer: peer.parse().unwrap(), listener: listener.parse().unwrap() }
}

#[test]
fn a_key_names_its_caller() {
    let remote = connection("192.0.2.1:4000", "192.0.2.9:8080");
    let cases: &[(&str, Result<&str, Unauthenticated>)] = &[
        ("Bearer k-portal", Ok("portal")),
        ("bearer k-gateway", Ok("gateway")),
        ("BEARER  k-portal ", Ok("portal")),
        ("Bearer k-porta", Err(Unauthenticated::Invalid)),
        ("Bearer K-PORTAL", Err(Unauthenticated::Invalid)),
        ("Bearer ", Err(Unauthenticated::Invalid)),
        ("Bearer", Err(Unauthenticated::Invalid)),
        ("", Err(Unauthenticated::Invalid)),
        ("Basic k-portal", Err(Unauthenticated::Invalid)),
        ("undefined", Err(Unauthenticated::Invalid)),
        ("Bearer k-portal é", Err(Unauthenticated::Invalid)),
    ];
    let callers = callers();
    for (credential, expected) in cases {
        let headers = headers(&[("authorization", credential), ("host", "pdp.example.org")]);
        let got = callers.authenticate(&headers, Some(&remote)).map(|caller| caller.id.as_str());
        assert_eq!(got, *expected, "{credential}");
    }
}

#[test]
fn two_credentials_are_none() {
    let headers = headers(&[("authorization", "Bearer k-portal"), ("authorization", "Bearer k-portal")]);
    assert_eq!(callers().authenticate(&headers, None).unwrap_err(), Unauthenticated::Invalid);
}

#[test]
fn without_a_key_only_this_machine_itself_is_a_caller() {
    type Fields = &'static [(&'static str, &'static str)];
    let cases: &[(&str, &str, Fields, bool)] = &[
        ("127.0.0.1:4000", "127.0.0.1:8080", &[("host", "127.0.0.1:8080")], true),
        ("127.0.0.1:4000", "127.0.0.1:8080", &[("host", "LOCALHOST")], true),
        ("[::1]:4000", "[::1]:8080", &[("host", "[::1]:8080")], true),
        ("[::ffff:127.0.0.1]:4000", "127.0.0.1:8080", &[("host", "localhost:8080")], true),
        // The service listens to the world: a proxy beside it would make everybody local.
        ("127.0.0.1:4000", "0.0.0.0:8080", &[("host", "localhost")], false),
        ("127.0.0.1:4000", "192.0.2.9:8080", &[("host", "localhost")], false),
        ("192.0.2.1:4000", "127.0.0.1:8080", &[("host", "localhost")], false),
        // A proxy says that it passed the request on.
        (
            "127.0.0.1:4000",
            "127.0.0.1:8080",
            &[("host", "localhost"), ("x-forwarded-for", "192.0.2.1")],
            false,
        ),
        ("127.0.0.1:4000", "127.0.0.1:8080", &[("host", "localhost"), ("forwarded", "for=192.0.2.1")], false),
        ("127.0.0.1:4000", "127.0.0.1:8080", &[("host", "localhost"), ("via", "1.1 proxy")], false),
        // A page from elsewhere whose name now resolves to this machine.
        ("127.0.0.1:4000", "127.0.0.1:8080", &[("host", "rebound.example.org:8080")], false),
        ("127.0.0.1:4000", "127.0.0.1:8080", &[("host", "127.0.0.1.example.org")], false),
        ("127.0.0.1:4000", "127.0.0.1:8080", &[], false),
    ];
    let callers = callers();
    for (peer, listener, fields, expected) in cases {
        let got = callers.authenticate(&headers(fields), Some(&connection(peer, listener)));
        let expected = if *expected { Ok("here") } else { Err(Unauthenticated::Missing) };
        assert_eq!(got.map(|caller| caller.id.as_str()), expected, "{peer} {listener} {fields:?}");
    }
    assert!(callers.authenticate(&headers(&[("host", "localhost")]), None).is_err());
}

#[test]
fn a_wrong_key_is_refused_even_where_none_is_needed() {
    let headers = headers(&[("host", "localhost"), ("authorization", "Bearer nobody")]);
    let here = connection("127.0.0.1:4000", "127.0.0.1:8080");
    assert_eq!(callers().authenticate(&headers, Some(&here)).unwrap_err(), Unauthenticated::Invalid);
}

#[test]
fn callers_that_could_be_taken_for_each_other_are_refused() {
    let error = |a, b| Callers::new([a, b]).unwrap_err();
    assert_eq!(error(keyed("a", "1"), keyed("a", "2")), CallersError::DuplicateId("a".into()));
    assert_eq!(error(keyed("a", "1"), keyed("b", "1")), CallersError::DuplicateKey("a".into(), "b".into()));
    assert_eq!(
        error(registered("a", Credential::Loopback), registered("b", Credential::Loopback)),
        CallersError::DuplicateLoopback("a".into(), "b".into())
    );
    assert_eq!(error(keyed("a", "1"), keyed("b", "")), CallersError::EmptyKey("b".into()));
}
