//! Output of executions whose clients are gone.

#![cfg(feature = "ureq")]

use sorna::blocking::Client;
use sorna::{ApiVersion, Config, ExecutionEvent, SessionToken, UploadFile};
use sorna_gateway::{Gateway, GatewayConfig};

#[test]
fn the_next_execution_has_it_apart_from_its_own() {
    let gateway = Gateway::spawn(GatewayConfig::new()).unwrap();
    let client = || {
        let keys = gateway.credentials()[0].clone();
        let config = Config::new(gateway.endpoint().parse().unwrap(), keys);
        Client::new(config.with_version(ApiVersion::V2_20170315))
    };
    let token = SessionToken::new("a-session-that-is-kept").unwrap();
    for (lang, code, next) in [
        (
            "bash",
            "echo begun; until [ -e go ]; do sleep 0.005; done; echo end",
            "echo next",
        ),
        (
            "python3",
            "import os, time\nprint('begun', flush=True)\nwhile not os.path.exists('go'): time.sleep(.005)\nprint('end')",
            "print('next')",
        ),
        (
            "ruby",
            "puts 'begun'; $stdout.flush; sleep 0.005 until File.exist?('go'); puts 'end'",
            "puts 'next'",
        ),
    ] {
        let gone = client();
        let mut execution = gone.get_or_create(lang, &token).unwrap().execute(code);
        let event = execution.next_event().unwrap().unwrap();
        assert!(matches!(event, ExecutionEvent::Console(_)), "{event:?}");
        drop((execution, gone));

        let kernel = client().get_or_create(lang, &token).unwrap();
        kernel
            .upload(vec![UploadFile::from_bytes("go", "").unwrap()])
            .unwrap();
        let mut waiting = kernel
            .execute(next)
            .with_busy_wait(std::time::Duration::MAX);
        let (mut own, mut old) = (String::new(), String::new());
        while let Some(event) = waiting.next_event().unwrap() {
            if let ExecutionEvent::Console(console) = event {
                own += &console.stdout();
                old += &console.unclaimed().unwrap_or_default().stdout();
            }
        }
        assert_eq!((own.as_str(), old.as_str()), ("next\n", "begun\nend\n"));
        let last = kernel.run(next).unwrap();
        assert_eq!(last.console.unclaimed(), None);
        kernel.destroy().unwrap();
    }
}
