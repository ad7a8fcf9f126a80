//! What the machine does, under which policy, and how the gateway behaves at the end.

use std::time::Duration;

use sorna_core::machine::RunPlan;
use sorna_core::{
    Batch, Boundary, CreateKernel, ExecuteMode, KernelId, RetryPolicy, SessionToken, UploadFile,
};

pub(crate) fn kernel() -> KernelId {
    KernelId::new("k1").expect("it is one path segment")
}

pub(crate) fn boundary() -> Boundary {
    Boundary::from_random([1; 16])
}

/// What the machine does, under which policy, and how the gateway behaves at the end.
pub(crate) struct Scene {
    pub(crate) machine: u8,
    pub(crate) policy: RetryPolicy,
    pub(crate) temporary: bool,
    pub(crate) sizes: Vec<u64>,
    pub(crate) modes: Vec<ExecuteMode>,
    /// The event that ends every exchange once the input is used up.
    pub(crate) last: u8,
}

impl Scene {
    /// One letter for each trait.
    pub(crate) fn read(letters: &[u8]) -> Self {
        let mut scene = Self {
            machine: b'E',
            policy: RetryPolicy::default(),
            temporary: true,
            sizes: Vec::new(),
            modes: Vec::new(),
            last: b'o',
        };
        for letter in letters.iter().take(64) {
            let policy = scene.policy;
            match letter {
                b'R' | b'U' | b'E' | b'0'..=b'9' => scene.machine = *letter,
                b'k' => scene.temporary = false,
                b'f' => scene.sizes.push(scene.sizes.len() as u64 % 5),
                b'M' => scene.sizes.push(1024 * 1024),
                b'G' => scene.sizes.push(u64::MAX),
                b'q' => {
                    let code = format!("code-{}", scene.modes.len());
                    scene.modes.push(ExecuteMode::query(code));
                }
                b'b' => scene.modes.push(Batch::new().into()),
                b'L' => scene
                    .modes
                    .push(ExecuteMode::query("x".repeat(1024 * 1024))),
                b'n' => scene.policy = RetryPolicy::never(),
                b'+' => scene.policy = policy.with_attempts(policy.attempts() + 3),
                b'z' => scene.policy = policy.with_attempts(0),
                b'-' => scene.policy = policy.with_budget(Duration::from_secs(1)),
                b'H' => scene.policy = policy.with_budget(Duration::MAX),
                b'*' => scene.policy = policy.with_backoff(Duration::ZERO, Duration::ZERO),
                b'^' => scene.policy = policy.with_backoff(Duration::MAX, Duration::MAX),
                // The same failure forever: only those that end every machine.
                b'<' => scene.last = b'm',
                b'>' => scene.last = b'N',
                b'!' => scene.last = b'S',
                b'%' => scene.last = b'r',
                b'/' => scene.last = b'F',
                b'$' => scene.last = b'x',
                _ => {}
            }
        }
        scene
    }

    pub(crate) fn create(&self) -> CreateKernel {
        let token = SessionToken::new("12345678").expect("it has eight characters");
        CreateKernel::new("python3", token)
    }

    pub(crate) fn mode(&self) -> ExecuteMode {
        let first = self.modes.first().cloned();
        first.unwrap_or_else(|| ExecuteMode::query("code-0"))
    }

    pub(crate) fn plan(&self) -> RunPlan {
        let plan = RunPlan::temporary("python3", self.modes.clone()).with_files(self.files());
        if self.temporary {
            plan
        } else {
            plan.keep_kernel()
        }
    }

    /// Local files, since their names can be found in a request.
    pub(crate) fn files(&self) -> Vec<UploadFile> {
        let names = (0..).map(|index| format!("f{index}"));
        names
            .zip(&self.sizes)
            .map(|(name, size)| {
                UploadFile::from_file(name.as_str(), name.as_str(), *size).expect("a plain name")
            })
            .collect()
    }

    pub(crate) fn is_uploadable(&self) -> bool {
        self.sizes.iter().all(|size| *size <= 1024 * 1024)
    }
}
