//! Lists and downloads of files.

use std::fs;
use std::path::Path;

use sorna::{Error, ErrorBody, KernelId, Unavailable, UploadFile};
use sorna_tests::drivers::SessionDriver;

use crate::lab::{Check, Lab};

async fn upload<D: SessionDriver>(lab: &Lab<D>, kernel: &KernelId, files: &[(&str, Vec<u8>)]) {
    let files = files
        .iter()
        .map(|(name, content)| UploadFile::from_bytes(*name, content.clone()).expect("a file"));
    let uploaded = lab.driver.upload(kernel.clone(), files.collect()).await;
    uploaded.expect("uploaded");
}

/// Paths relative to a directory, sorted.
fn relative(paths: &[std::path::PathBuf], directory: &Path) -> Vec<String> {
    let relative = paths.iter().map(|path| {
        let path = path.strip_prefix(directory).expect("it is in there");
        path.to_str().expect("UTF-8").to_owned()
    });
    let mut relative: Vec<String> = relative.collect();
    relative.sort();
    relative
}

/// Whether a session of Backend.AI may have it without being given it: from its image, its agent or its runner (observed
/// on 23.09.10 and 26.9.6).
pub(crate) fn is_there_from_the_start(name: &str) -> bool {
    let others = ["id_container", "DO_NOT_STORE_PERSISTENT_FILES_HERE.md"];
    name.starts_with('.') || others.contains(&name)
}

pub(crate) fn lists<D: SessionDriver>(lab: &Lab<D>) -> Check<'_> {
    Box::pin(async {
        let kernel = lab.kernel("python3").await;
        let files = [
            ("top é.txt", b"12345".to_vec()),
            ("dir/sub/deep", b"x".to_vec()),
            ("dir/empty", Vec::new()),
        ];
        upload(lab, &kernel, &files).await;
        for (path, expected) in [
            (".", vec![("dir", None), ("top é.txt", Some(5))]),
            ("dir", vec![("empty", Some(0)), ("sub", None)]),
            ("dir/sub", vec![("deep", Some(1))]),
        ] {
            let listing = lab.driver.list_files(kernel.clone(), path).await;
            let listing = listing.expect("a list");
            let mut found: Vec<(&str, Option<u64>)> = listing
                .files
                .iter()
                .map(|file| (&*file.name, (!file.is_directory()).then_some(file.size)))
                .filter(|(name, _)| !is_there_from_the_start(name))
                .collect();
            found.sort();
            assert_eq!(found, expected, "{path}");
        }
        let error = lab.driver.list_files(kernel.clone(), "nowhere").await;
        let error = error.expect_err("there is none");
        let body = error.gateway().map(|error| error.error_body());
        assert!(matches!(body, Some(ErrorBody::Reported { .. })), "{error}");
        lab.destroy(kernel).await;
    })
}

pub(crate) fn files_and_directories_come_back<D: SessionDriver>(lab: &Lab<D>) -> Check<'_> {
    Box::pin(async {
        let kernel = lab.kernel("python3").await;
        let bytes: Vec<u8> = (0..300_000_u64)
            .map(|n| ((n * n) >> 5).to_le_bytes()[0])
            .collect();
        let files = [
            ("top é.txt", b"top".to_vec()),
            ("dir/sub/deep", bytes.clone()),
            ("dir/empty", Vec::new()),
            ("other", b"not wanted".to_vec()),
        ];
        upload(lab, &kernel, &files).await;
        // Larger than what can be uploaded. A manager sends at most 1 MiB of a directory.
        let size = if lab.gateway().is_some() {
            3_000_000
        } else {
            500_000
        };
        let code = format!("open('dir/large', 'wb').write(bytes({size})) and None");
        lab.run(&kernel, &code).await;
        let directory = tempfile::tempdir().expect("a directory");
        let paths = vec!["dir".to_owned(), "top é.txt".to_owned()];
        let saved = lab
            .driver
            .download(kernel.clone(), paths, directory.path())
            .await
            .expect("downloaded");
        assert_eq!(
            relative(&saved, directory.path()),
            ["dir/empty", "dir/large", "dir/sub/deep", "top é.txt"]
        );
        let read = |name: &str| fs::read(directory.path().join(name)).expect("a file");
        assert_eq!(read("top é.txt"), b"top");
        assert_eq!(read("dir/empty"), b"");
        assert_eq!(read("dir/large"), vec![0; size]);
        assert!(read("dir/sub/deep") == bytes, "the same bytes");
        assert!(!directory.path().join("other").exists());
        lab.destroy(kernel).await;
    })
}

pub(crate) fn more_files_than_one_request_may_have<D: SessionDriver>(lab: &Lab<D>) -> Check<'_> {
    Box::pin(async {
        let kernel = lab.kernel("python3").await;
        let code = "for n in range(12):\n    print(n, file=open(f'f{n}', 'w'))";
        lab.run(&kernel, code).await;
        let directory = tempfile::tempdir().expect("a directory");
        let paths: Vec<String> = (0..12).map(|n| format!("f{n}")).collect();
        let saved = lab
            .driver
            .download(kernel.clone(), paths.clone(), directory.path())
            .await
            .expect("downloaded");
        assert_eq!(saved.len(), 12);
        for (n, name) in paths.iter().enumerate() {
            let content = fs::read_to_string(directory.path().join(name));
            assert_eq!(content.expect("a file"), format!("{n}\n"));
        }
        lab.destroy(kernel).await;
    })
}

pub(crate) fn missing_files_are_named<D: SessionDriver>(lab: &Lab<D>) -> Check<'_> {
    Box::pin(async {
        let kernel = lab.kernel("python3").await;
        upload(lab, &kernel, &[("here", b"x".to_vec())]).await;
        let directory = tempfile::tempdir().expect("a directory");
        let paths = ["here", "gone", "dir/gone"].map(str::to_owned);
        let download = lab
            .driver
            .download(kernel.clone(), paths.into(), directory.path());
        let error = download.await.expect_err("two are missing");
        let Error::FilesUnavailable(unavailable) = &error else {
            panic!("{error:?}");
        };
        let named = unavailable.files.iter().map(|file| &*file.name);
        assert_eq!(named.collect::<Vec<_>>(), ["gone", "dir/gone"]);
        assert!(matches!(unavailable.files[0].reason, Unavailable::Missing));
        // The client works as before.
        let download =
            lab.driver
                .download(kernel.clone(), vec!["here".to_owned()], directory.path());
        assert_eq!(download.await.expect("downloaded").len(), 1);
        lab.destroy(kernel).await;
    })
}
