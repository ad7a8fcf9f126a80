//! Every operation, and error responses.

use std::sync::{Arc, Mutex};

use http::Method;
use sorna::protocol::{
    ApiVersion, Authorize, Complete, CreateKernel, Destroy, HashAlgorithm, Info, ListLanguages,
    ProblemKind, Restart, Success, UnsignedRequest, Version,
};
use sorna::{
    AccessKey, BuildError, ClientOptions, Config, Credentials, Dialect, Error, Exchange, KernelId,
    KernelSpec, Limits, Observer, Operation, RetryPolicy, SecretKey, SessionToken, TerminalOptions,
    UploadFile,
};

use crate::lab::{Check, Lab};
use sorna_tests::drivers::{Driver, PtyDriver as _};

pub(crate) fn version_and_authorize<D: Driver>(lab: &Lab<D>) -> Check<'_> {
    Box::pin(async {
        let version = lab.driver.call(Version::new()).await.expect("a version");
        assert_eq!(version.value.version, lab.version.as_str());
        let echo = "héllo \"wörld\"";
        let answer = lab
            .driver
            .call(Authorize::new(echo))
            .await
            .expect("good keys");
        assert_eq!(answer.value.echo.as_deref(), Some(echo));
        let config = lab.config.clone().with_hash(HashAlgorithm::Sha512);
        let driver = D::connect(config, ClientOptions::default());
        driver
            .call(Authorize::new("sha512"))
            .await
            .expect("good keys");
    })
}

pub(crate) fn languages<D: Driver>(lab: &Lab<D>) -> Check<'_> {
    Box::pin(async {
        let languages = lab.driver.call(ListLanguages::new()).await;
        let languages = languages.expect("the list").value;
        let bash = languages.iter().find(|language| language.name == "bash");
        assert!(bash.is_some_and(|bash| bash.available && bash.keeps_state));
    })
}

/// The languages, by an operation that this crate does not know.
struct Names;

impl Operation for Names {
    type Output = Vec<String>;

    fn prepare(&self, _: ApiVersion) -> Result<UnsignedRequest, BuildError> {
        Ok(UnsignedRequest::new(Method::GET, "/v2").segment("languages"))
    }

    fn read(&self, _: ApiVersion, success: &Success) -> Result<Vec<String>, Error> {
        let list: serde_json::Value = success.json("a list of languages")?;
        let languages = list["languages"].as_array().expect("a list");
        let name = |language: &serde_json::Value| language["name"].as_str().map(str::to_owned);
        Ok(languages.iter().filter_map(name).collect())
    }
}

pub(crate) fn custom_operation<D: Driver>(lab: &Lab<D>) -> Check<'_> {
    Box::pin(async {
        let names = lab.driver.call(Names).await.expect("a list").value;
        assert!(names.iter().any(|name| name == "bash"), "{names:?}");
    })
}

pub(crate) fn streamed_response<D: Driver>(lab: &Lab<D>) -> Check<'_> {
    Box::pin(async {
        let kernel = lab.kernel("python3").await;
        let body = lab.driver.stream(Info::new(kernel.clone())).await;
        let info: serde_json::Value = serde_json::from_slice(&body.expect("a body")).expect("JSON");
        assert_eq!(info["lang"], lab.image("python3"));
        lab.destroy(kernel.clone()).await;
        if lab.ends_at_once() {
            let error = lab.driver.stream(Info::new(kernel)).await;
            assert!(error.expect_err("it is gone").is_not_found());
        }
    })
}

pub(crate) fn created_kernels_have_tokens_of_their_own<D: Driver>(lab: &Lab<D>) -> Check<'_> {
    Box::pin(async {
        let first = lab
            .driver
            .create(&lab.image("python3"))
            .await
            .expect("a kernel");
        let second = lab
            .driver
            .create(&lab.image("python3"))
            .await
            .expect("a kernel");
        assert_ne!(first, second);
        for kernel in [first, second] {
            lab.driver
                .call(Destroy::new(kernel))
                .await
                .expect("its end");
        }
    })
}

pub(crate) fn get_or_create_by_token<D: Driver>(lab: &Lab<D>) -> Check<'_> {
    Box::pin(async {
        let token = sorna::random_token();
        let first = lab.kernel_named("python3", token.clone()).await;
        let second = lab.kernel_named("python3", token.clone()).await;
        assert_eq!(first, second, "the token of a living kernel");
        let third = lab.kernel("python3").await;
        assert_ne!(first, third, "another token");
        // In Backend.AI, tokens are names, which are taken whatever the language.
        if lab.dialect() == Dialect::SornaV2 {
            let other = lab.kernel_named("bash", token).await;
            assert_ne!(first, other, "another language");
            lab.destroy(other).await;
        }
        for kernel in [first, third] {
            lab.destroy(kernel).await;
        }
    })
}

pub(crate) fn info<D: Driver>(lab: &Lab<D>) -> Check<'_> {
    Box::pin(async {
        let limits = Limits::new().with_max_memory(512 << 20);
        let spec = KernelSpec::new(lab.image("python3")).with_limits(limits);
        let kernel = lab.kernel_of(spec, sorna::random_token()).await;
        lab.run(&kernel, "1").await;
        let info = lab
            .driver
            .call(Info::new(kernel.clone()))
            .await
            .expect("info")
            .value;
        assert_eq!(info.language(), Some(&*lab.image("python3")));
        assert!(info.age().is_some_and(|age| !age.is_zero()), "{info:?}");
        lab.destroy(kernel).await;
    })
}

pub(crate) fn restart<D: Driver>(lab: &Lab<D>) -> Check<'_> {
    Box::pin(async {
        let kernel = lab.kernel("python3").await;
        lab.run(&kernel, "x = 1\nopen('kept', 'w').write('yes')")
            .await;
        lab.driver
            .call(Restart::new(kernel.clone()))
            .await
            .expect("restarted");
        let result = lab
            .run(&kernel, "print('x' in globals(), open('kept').read())")
            .await;
        assert_eq!(result.console.stdout(), "False yes\n");
        lab.destroy(kernel).await;
    })
}

pub(crate) fn destroy<D: Driver>(lab: &Lab<D>) -> Check<'_> {
    Box::pin(async {
        let kernel = lab.kernel("python3").await;
        lab.driver
            .call(Destroy::new(kernel.clone()))
            .await
            .expect("destroyed");
        if !lab.ends_at_once() {
            return;
        }
        for again in [
            lab.driver.call(Destroy::new(kernel.clone())).await.err(),
            lab.driver.call(Restart::new(kernel.clone())).await.err(),
            lab.driver.call(Info::new(kernel.clone())).await.err(),
            lab.driver
                .execute(kernel.clone(), "1".into(), &[])
                .await
                .err(),
        ] {
            assert!(again.expect("it is gone").is_not_found());
        }
    })
}

pub(crate) fn complete<D: Driver>(lab: &Lab<D>) -> Check<'_> {
    Box::pin(async {
        let kernel = lab.kernel("python3").await;
        lab.run(&kernel, "import os").await;
        let complete = Complete::at_end(kernel.clone(), "os.getpi");
        let answer = lab.driver.call(complete).await.expect("completions");
        assert!(
            answer.value.iter().any(|word| word.contains("getpid")),
            "{answer:?}"
        );
        lab.destroy(kernel).await;
    })
}

/// Every type of problem that a client can cause.
pub(crate) fn error_responses<D: Driver>(lab: &Lab<D>) -> Check<'_> {
    Box::pin(async {
        let endpoint = lab.config.endpoint().clone();
        let with_keys = |access_key: &str, secret_key: &str| {
            let keys = Credentials::new(
                AccessKey::new(access_key).expect("a key"),
                SecretKey::new(secret_key).expect("a key"),
            );
            D::connect(
                lab.speaking(Config::new(endpoint.clone(), keys)),
                ClientOptions::default(),
            )
        };
        let real = lab
            .config
            .credentials()
            .expect("keys")
            .access_key()
            .as_str()
            .to_owned();
        for driver in [with_keys(&real, "wrong"), with_keys("AKIANOBODY", "wrong")] {
            let error = driver.call(Authorize::new("")).await.expect_err("refused");
            assert!(error.is_auth(), "{error}");
            assert_eq!(
                error.gateway().and_then(|error| error.kind()),
                Some(ProblemKind::AuthFailed)
            );
        }
        let missing = KernelId::new("zuF1OzMIhFknyjUl7Apbvg").expect("an id");
        let error = lab
            .driver
            .call(Info::new(missing.clone()))
            .await
            .expect_err("refused");
        let error_response = error.gateway().expect("an error response");
        assert_eq!(
            (error_response.status().as_u16(), error_response.kind()),
            (404, Some(lab.not_found()))
        );
        let odd = KernelId::new("../../v2/authorize?x=%2F").expect("an id");
        let error = lab.driver.call(Info::new(odd)).await.expect_err("refused");
        assert!(error.is_not_found(), "no other URL is reached: {error}");

        let lang = CreateKernel::new("no-such-language", sorna::random_token());
        let error = lab.driver.call(lang).await.expect_err("refused");
        assert!(
            error
                .gateway()
                .is_some_and(|error| error.is_creation_failed()),
            "{error}"
        );

        let file = UploadFile::from_bytes("a", "x").expect("a file");
        let error = lab
            .driver
            .upload(missing, vec![file])
            .await
            .expect_err("refused");
        assert!(error.is_not_found(), "{error}");
    })
}

pub(crate) fn rate_limit_headers<D: Driver>(lab: &Lab<D>) -> Check<'_> {
    Box::pin(async {
        let first = lab
            .driver
            .call(Authorize::new("hi"))
            .await
            .expect("good keys");
        let second = lab
            .driver
            .call(Authorize::new("hi"))
            .await
            .expect("good keys");
        let remaining = |answer: sorna::Reply<_>| {
            answer
                .rate_limit
                .and_then(|limit| limit.remaining)
                .expect("a limit")
        };
        assert!(remaining(second) < remaining(first));
    })
}

pub(crate) fn requests_are_observed<D: Driver>(lab: &Lab<D>) -> Check<'_> {
    Box::pin(async {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let options = |attempts| {
            let seen = Arc::clone(&seen);
            let observer = Observer::new(move |exchange: &Exchange<'_>| {
                let outcome = match exchange.outcome {
                    Ok((status, _)) => status.as_u16().to_string(),
                    Err(error) => format!("{:?}", error.kind()),
                };
                let Exchange {
                    method,
                    target,
                    attempt,
                    ..
                } = exchange;
                let line = format!("{attempt}: {method} {target}: {outcome}");
                seen.lock().expect("no panic inside").push(line);
            });
            ClientOptions::new()
                .with_retry(RetryPolicy::default().with_attempts(attempts))
                .with_observer(observer)
        };

        let driver = D::connect(lab.config.clone(), options(1));
        driver.call(Authorize::new("hi")).await.expect("good keys");
        let nothing = KernelId::new("nothing").expect("an id");
        let info = driver.call(Info::new(nothing.clone())).await;
        info.expect_err("no such kernel");
        let terminal = driver.stream_pty(nothing, TerminalOptions::default());
        assert!(terminal.await.is_err());
        let kernel = lab.kernel("python3").await;
        let terminal = driver.stream_pty(kernel.clone(), TerminalOptions::default());
        terminal.await.expect("a terminal").close().await.ok();

        // A port that was free a moment ago.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        drop(listener);
        let endpoint = format!("http://{address}").parse().expect("an endpoint");
        let config = Config::new(endpoint, lab.config.credentials().expect("keys").clone());
        let config = lab.speaking(config);
        let driver = D::connect(config, options(2));
        let version = driver.call(Version::new()).await;
        version.expect_err("connection refused");

        let expected = match lab.dialect() {
            Dialect::SornaV2 => [
                "1: GET /v2/authorize: 200".to_owned(),
                "1: GET /v2/kernel/nothing: 404".to_owned(),
                "1: GET /v2/stream/kernel/nothing/pty: 404".to_owned(),
                format!("1: GET /v2/stream/kernel/{kernel}/pty: 101"),
                "1: GET /v2: Connect".to_owned(),
                "2: GET /v2: Connect".to_owned(),
            ]
            .to_vec(),
            // The version is negotiated first.
            _ => [
                "1: GET /: 200".to_owned(),
                "1: POST /auth: 200".to_owned(),
                "1: GET /session/nothing: 404".to_owned(),
                "1: GET /stream/session/nothing/pty: 404".to_owned(),
                format!("1: GET /stream/session/{kernel}/pty: 101"),
                "1: GET /: Connect".to_owned(),
                "2: GET /: Connect".to_owned(),
            ]
            .to_vec(),
        };
        assert_eq!(*seen.lock().expect("no panic inside"), expected);
        lab.destroy(kernel).await;
    })
}

pub(crate) fn connections_are_reused<D: Driver>(lab: &Lab<D>) -> Check<'_> {
    Box::pin(async {
        let Some(gateway) = lab.gateway() else { return };
        for _ in 0..20 {
            lab.driver
                .call(Authorize::new(""))
                .await
                .expect("good keys");
        }
        // An error response keeps the connection, too.
        let missing = KernelId::new("missing").expect("an id");
        lab.driver
            .call(Info::new(missing))
            .await
            .expect_err("refused");
        lab.driver
            .call(Authorize::new(""))
            .await
            .expect("good keys");
        let stats = gateway.stats();
        // A version that is not fixed is negotiated first.
        let hello = u64::from(lab.config.fixed_version().is_none());
        assert_eq!((stats.connections, stats.requests), (1, 22 + hello));
    })
}

pub(crate) fn keys_are_isolated<D: Driver>(lab: &Lab<D>) -> Check<'_> {
    Box::pin(async {
        let keys = Credentials::new(
            AccessKey::new("AKIASECOND").expect("a key"),
            SecretKey::new("second-secret").expect("a key"),
        );
        let config = lab.speaking(Config::new(lab.config.endpoint().clone(), keys));
        let other = D::connect(config, ClientOptions::default());
        let token = SessionToken::new("shared-token").expect("a token");
        let mine = lab.kernel_named("python3", token.clone()).await;
        let create = CreateKernel::new("python3", token);
        let theirs = other.call(create).await.expect("a kernel").value.id;
        assert_ne!(mine, theirs);
        for error in [
            other.call(Info::new(mine.clone())).await.err(),
            other.call(Destroy::new(mine.clone())).await.err(),
            other.execute(mine.clone(), "1".into(), &[]).await.err(),
        ] {
            assert!(error.expect("it is not theirs").is_not_found());
        }
        other.call(Destroy::new(theirs)).await.expect("destroyed");
        lab.destroy(mine).await;
    })
}
