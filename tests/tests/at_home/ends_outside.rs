//! Interpreters end as their languages do, however their kernel comes to its end: what they do then is seen outside of it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use sorna_gateway::GatewayConfig;
use sorna_test_tools::need;

use crate::home;
use crate::kernel::Place;

/// In each language, a program that prints far more than pipes hold at the end of its interpreter, and then writes `bye` to
/// the file FILE.
const WRITE_AT_THE_END: &[(&str, &str)] = &[
    (
        "python3",
        "import atexit, os\ndef end():\n    for i in range(9999): print('output ' * 9)\n    os.write(1, b'x' * 99999)\n    open('FILE', 'w').write('bye')\natexit.register(end)",
    ),
    (
        "bash",
        "trap 'for ((i = 0; i < 2999; i++)); do echo output output output output output output output output; done; printf bye >FILE' EXIT",
    ),
    (
        "perl",
        "END { print 'output ' x 99999; print STDERR 'output ' x 99999; open my $f, '>', 'FILE'; print $f 'bye' }",
    ),
    (
        "ruby",
        "at_exit { puts 'output ' * 99999; File.write('FILE', 'bye') }",
    ),
    (
        "nodejs",
        "process.on('exit', () => { console.log('output '.repeat(99999)); require('fs').writeFileSync('FILE', 'bye') })",
    ),
    (
        "php",
        "register_shutdown_function(function() { echo str_repeat('output ', 99999); file_put_contents('FILE', 'bye'); });",
    ),
    (
        "lua",
        "g = setmetatable({}, {__gc = function() print(('output '):rep(99999)); local f = io.open('FILE', 'w'); f:write('bye'); f:close() end})",
    ),
    (
        "r",
        ".Last <- function() { cat(strrep('output ', 99999)); cat('bye', file = 'FILE') }",
    ),
];

/// A directory in which programs may write.
fn outside() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o777)).unwrap();
    directory
}

/// The languages that are installed, each with the program, and the file that that writes.
fn programs(directory: &Path) -> impl Iterator<Item = (&'static str, String, std::path::PathBuf)> {
    let installed = WRITE_AT_THE_END
        .iter()
        .filter(|(language, _)| need(home::command(language)[0]));
    installed.map(|(language, program)| {
        let file = directory.join(language);
        (
            *language,
            program.replace("FILE", file.to_str().unwrap()),
            file,
        )
    })
}

#[track_caller]
fn has_ended(language: &str, file: &Path) {
    assert_eq!(
        fs::read_to_string(file).unwrap_or_default(),
        "bye",
        "{language}"
    );
    fs::remove_file(file).unwrap();
}

#[test]
fn hooks_run_when_a_kernel_is_restarted_and_destroyed() {
    let directory = outside();
    let place = Place::of(GatewayConfig::default().with_writable([directory.path()]));
    for (language, program, file) in programs(directory.path()) {
        let kernel = place.client.create(language).unwrap();
        kernel.run(&*program).unwrap();
        kernel.restart().unwrap();
        has_ended(language, &file);
        kernel.run(&*program).unwrap();
        kernel.destroy().unwrap();
        has_ended(language, &file);
    }
}

#[test]
fn hooks_run_when_a_kernel_is_idle_for_too_long() {
    let directory = outside();
    let config = GatewayConfig::default().with_writable([directory.path()]);
    let place = Place::of(config.with_idle_timeout(Duration::from_millis(500)));
    for (language, program, file) in programs(directory.path()) {
        place
            .client
            .create(language)
            .unwrap()
            .run(&*program)
            .unwrap();
        // It is not counted any more once its end has begun.
        let until = Instant::now() + Duration::from_secs(60);
        while fs::read_to_string(&file).unwrap_or_default() != "bye" && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(10));
        }
        has_ended(language, &file);
    }
}

#[test]
fn hooks_run_when_the_gateway_ends() {
    let directory = outside();
    let place = Place::of(GatewayConfig::default().with_writable([directory.path()]));
    for (language, program, _) in programs(directory.path()) {
        let kernel = place.client.create(language).unwrap();
        kernel.run(&*program).unwrap();
    }
    place.gateway.stop();
    for (language, _, file) in programs(directory.path()) {
        has_ended(language, &file);
    }
}

#[test]
fn a_kernel_goes_as_soon_as_its_interpreter_has_ended() {
    let directory = outside();
    let place = Place::of(GatewayConfig::default().with_writable([directory.path()]));
    // Whoever waits until an interpreter is to be killed needs a second each time. A busy machine may be as slow as that, too,
    // but not each time.
    for (language, program, _) in programs(directory.path()).take(4) {
        let mut times: Vec<_> = (0..7)
            .map(|_| {
                let kernel = place.client.create(language).unwrap();
                kernel.run(&*program).unwrap();
                let started = Instant::now();
                kernel.destroy().unwrap();
                started.elapsed()
            })
            .collect();
        times.sort();
        assert!(times[0] < Duration::from_secs(1), "{language}: {times:?}");
    }
}
