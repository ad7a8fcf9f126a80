//! Files of all kinds.

use sorna::{KernelId, UploadFile};

use crate::files::is_there_from_the_start;
use crate::lab::{Check, Lab};
use sorna_tests::drivers::Driver;

/// The names and sizes in the work directory, as the kernel sees them, without those that are there from the start.
async fn sizes<D: Driver>(lab: &Lab<D>, kernel: &KernelId) -> String {
    let code = "import os\n\
        for d, _, names in sorted(os.walk('.')):\n\
        \x20   for n in sorted(names):\n\
        \x20       p = os.path.join(d, n)[2:]\n\
        \x20       if p[0] != '.': print(ascii(p), os.path.getsize(p))";
    let result = lab.run(kernel, code).await;
    let text = result.console.stdout();
    let is_new = |line: &&str| {
        let name = line.split('\'').nth(1);
        !name.is_some_and(is_there_from_the_start)
    };
    text.split_inclusive('\n').filter(is_new).collect()
}

pub(crate) fn a_hundred_files<D: Driver>(lab: &Lab<D>) -> Check<'_> {
    Box::pin(async {
        let directory = tempfile::tempdir().expect("a directory");
        let mut files = Vec::new();
        for index in 0..100_usize {
            let path = directory.path().join(index.to_string());
            std::fs::write(&path, "x".repeat(index)).expect("a file");
            let name = format!("f{index:02}");
            files.push(UploadFile::from_file(name, path, index as u64).expect("a file"));
        }
        let kernel = lab.kernel("python3").await;
        let (progress, reports) = lab
            .driver
            .upload(kernel.clone(), files)
            .await
            .expect("uploaded");
        assert_eq!((progress.files, progress.bytes), (100, 4950));
        // Once for each request.
        let requests = 100_usize.div_ceil(lab.version.upload_limits().max_files);
        assert!(reports >= requests, "progress is reported");
        let expected: String = (0..100)
            .map(|index| format!("'f{index:02}' {index}\n"))
            .collect();
        assert_eq!(sizes(lab, &kernel).await, expected);
        lab.destroy(kernel).await;
    })
}

pub(crate) fn empty_and_exactly_the_limit<D: Driver>(lab: &Lab<D>) -> Check<'_> {
    Box::pin(async {
        let kernel = lab.kernel("python3").await;
        // 1 MiB, or a byte less.
        let limit = lab.version.upload_limits().max_file_size;
        let bytes = usize::try_from(limit).expect("a size");
        let mut files = vec![
            UploadFile::from_bytes("empty", "").expect("a file"),
            UploadFile::from_bytes("full", vec![b'x'; bytes]).expect("a file"),
        ];
        lab.driver
            .upload(kernel.clone(), files.clone())
            .await
            .expect("uploaded");
        assert_eq!(
            sizes(lab, &kernel).await,
            format!("'empty' 0\n'full' {limit}\n")
        );
        files.push(UploadFile::from_bytes("over", vec![0; bytes + 1]).expect("a file"));
        match lab.driver.upload(kernel.clone(), files).await {
            // The gateway of this project takes files of any size from clients that know that.
            Ok(_) => {
                assert!(lab.gateway().is_some(), "another gateway took too much");
                let sizes = sizes(lab, &kernel).await;
                assert!(
                    sizes.contains(&format!("'over' {}\n", limit + 1)),
                    "{sizes}"
                );
            }
            Err(error) => {
                let expected = format!("over has {} bytes", limit + 1);
                assert!(error.to_string().starts_with(&expected), "{error}");
            }
        }
        lab.destroy(kernel).await;
    })
}

pub(crate) fn directories_and_odd_names<D: Driver>(lab: &Lab<D>) -> Check<'_> {
    Box::pin(async {
        let kernel = lab.kernel("python3").await;
        let files = [
            "a b",
            "dir/sub/é.txt",
            "quo\"te",
            "per%25cent",
            "semi;colon=1",
        ]
        .map(|name| UploadFile::from_bytes(name, "x").expect("a file"));
        lab.driver
            .upload(kernel.clone(), files.into())
            .await
            .expect("uploaded");
        let stored = sizes(lab, &kernel).await;
        for name in [
            "'a b'",
            "'dir/sub/\\xe9.txt'",
            "'quo\"te'",
            "'per%25cent'",
            "'semi;colon=1'",
        ] {
            assert!(stored.contains(&format!("{name} 1\n")), "{name}: {stored}");
        }
        lab.destroy(kernel).await;
    })
}

pub(crate) fn replaced_files<D: Driver>(lab: &Lab<D>) -> Check<'_> {
    Box::pin(async {
        let kernel = lab.kernel("python3").await;
        for content in ["first and longer", "second"] {
            let file = UploadFile::from_bytes("a", content).expect("a file");
            lab.driver
                .upload(kernel.clone(), vec![file])
                .await
                .expect("uploaded");
        }
        let result = lab.run(&kernel, "print(open('a').read())").await;
        assert_eq!(result.console.stdout(), "second\n");
        lab.destroy(kernel).await;
    })
}
