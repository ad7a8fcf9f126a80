//! Sorna v2: lists and downloads, which are an extension.

use crate::common::{Client, gateway};
use sorna_core::{Download, DownloadSingle, KernelId, ListFiles};

fn names(client: &Client, kernel: &KernelId, path: &str) -> Vec<String> {
    let list = ListFiles::new(kernel.clone(), path).with_extension(true);
    let listing = client.call(&list).unwrap();
    listing.files.into_iter().map(|file| file.name).collect()
}

#[test]
fn files_are_listed_and_sent_as_they_are() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let kernel = client.create("bash");
    let large = vec![b'x'; 700_000];
    let files: [(&str, &[u8]); 3] = [("a/b/c&d.txt", b"deep"), ("large", &large), ("한", b"")];
    client.upload(&kernel, &files).unwrap();
    assert_eq!(names(&client, &kernel, "."), ["a", "large", "한"]);
    assert_eq!(names(&client, &kernel, "a/b"), ["c&d.txt"]);

    let wanted = ["a", "large", "한"].map(str::to_owned);
    let download = Download::new(kernel.clone(), wanted.into()).with_extension(true);
    let sent = client.call(&download).unwrap();
    let sent: Vec<_> = sent
        .iter()
        .map(|file| (&*file.path, &*file.content))
        .collect();
    assert_eq!(sent, files);
    let single = DownloadSingle::new(kernel, "large").with_extension(true);
    assert_eq!(client.call(&single).unwrap(), large);
}

#[test]
fn nothing_outside_of_the_work_directory_is_listed_or_sent() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let kernel = client.create("bash");
    let _ = client.run(
        &kernel,
        "ln -s /etc/passwd out; ln -s / root; mkfifo fifo; mkdir d",
    );
    for (target, status) in [
        ("files?path=..", 400),
        ("files?path=/etc", 400),
        ("files?path=root", 400),
        ("download?files=root/etc/passwd", 400),
        ("download?files=fifo", 400),
        ("download", 400),
        (
            "download?files=a&files=a&files=a&files=a&files=a&files=a",
            400,
        ),
        ("download_single?file=out", 400),
        ("download_single?file=%2Fetc%2Fpasswd", 400),
        ("download_single?file=d", 400),
        ("download_single?file=none", 400),
        ("download_single", 400),
        ("files?path=d", 200),
    ] {
        let target = format!("/v2/kernel/{kernel}/{target}");
        let response = client.raw("GET", &target, "application/octet-stream", b"");
        assert_eq!(response.status(), status, "{target}");
        let text = String::from_utf8_lossy(response.body());
        assert!(!text.contains("root:x:"), "{target}: {text}");
    }
}

#[test]
fn files_are_those_of_the_key_s_own_kernels_and_requests_are_signed() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let kernel = client.create("bash");
    let mut wrong = gateway.credentials()[0].clone();
    wrong = sorna_core::Credentials::new(
        wrong.access_key().clone(),
        sorna_core::SecretKey::new("wrong").unwrap(),
    );
    let stranger = Client::with_credentials(&gateway, wrong);
    let list = ListFiles::new(kernel.clone(), ".").with_extension(true);
    assert_eq!(stranger.error_of(&list), (401, "auth-failed".to_owned()));
    let none = KernelId::new("nosuchkernel").unwrap();
    let list = ListFiles::new(none, ".").with_extension(true);
    assert_eq!(client.error_of(&list), (404, "kernel-not-found".to_owned()));
    let target = format!("/v2/kernel/{kernel}/files");
    let response = client.raw("POST", &target, "application/octet-stream", b"");
    assert_eq!(response.status(), 400);
}
