//! Keeping the files of a kernel within their limit.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::SemaphorePermit;

use super::confine::size;
use super::disk::{self, DiskLimit, DiskUse};
use super::driver::Command;
use super::exceeded::Exceeded;
use super::handle::Kernel;

/// How often to look at a kernel in which nothing runs. It may have left something in the background.
const IDLE_INTERVAL: Duration = Duration::from_secs(2);
/// By how much more than there is a program may use if that is beyond the limit: it may have to write while it removes
/// files.
const SLACK: (u64, u64) = (1 << 20, 100);
/// From this much above twice the limit on, the kernel itself is destroyed.
const HOPELESS: (u64, u64) = (1 << 30, 100_000);

/// What follows from a look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DiskCheck {
    Within,
    /// What runs is being killed.
    Killed,
    /// The kernel is to be destroyed: why.
    Hopeless(String),
}

/// Room for an upload, until it is dropped.
#[derive(Debug, Default)]
pub(crate) struct Reservation {
    /// `None` if there is no limit.
    room: Option<Room>,
    /// How many bytes are reserved that have not arrived.
    ahead: AtomicU64,
    reserved: Arc<AtomicU64>,
}

/// What an upload may take.
#[derive(Debug)]
struct Room {
    /// In bytes.
    bytes: u64,
    /// Files and directories.
    files: u64,
    /// What the limit on bytes is, and how much of it is used.
    text: String,
    limit: DiskLimit,
}

impl Kernel {
    /// Whether it is time to look at its files.
    pub(crate) fn disk_is_due(&self) -> bool {
        let looked = self.disk.looked.lock();
        let at = looked.unwrap_or_else(PoisonError::into_inner).at;
        // In memory, the system itself enforces the limit.
        let is_checked = self.setup.home.disk().is_none();
        (is_checked && self.setup.confined.bounds().disk.is_some())
            && (self.is_busy() || at.is_none_or(|at| at.elapsed() >= IDLE_INTERVAL))
    }

    /// Waits until an upload may arrive: not too many do at the same time. `None` if the kernel is gone.
    pub(crate) async fn upload_turn(&self) -> Option<SemaphorePermit<'_>> {
        self.disk.uploads.acquire().await.ok()
    }

    /// Where its files are.
    fn disk_root(&self) -> PathBuf {
        let home = &self.setup.home;
        home.outside(home.root())
    }

    /// Looks at its files, and kills everything if they have come to exceed the limit. `kills` is as for
    /// [`check`](Self::check). Blocks.
    pub(crate) fn check_disk(&self, processes: &[u32], kills: u64) -> DiskCheck {
        let Some(limit) = self.setup.confined.bounds().disk else {
            return DiskCheck::Within;
        };
        // It may be gone already.
        let Ok(found) = disk::measure(&self.disk_root(), processes, limit) else {
            return DiskCheck::Within;
        };
        let looked = self.disk.looked.lock();
        let mut looked = looked.unwrap_or_else(PoisonError::into_inner);
        looked.at = Some(Instant::now());
        let Some(exceeded) = exceeded(found, limit) else {
            looked.least = None;
            looked.killed = None;
            return DiskCheck::Within;
        };
        if found.bytes / 2 > limit.bytes.saturating_add(HOPELESS.0 / 2) {
            return DiskCheck::Hopeless(exceeded);
        }
        // A program writes on until it is killed. The next program must not be killed for that.
        if looked.killed.is_some_and(|killed| killed != kills) {
            looked.killed = None;
            looked.least = Some(found);
        }
        let grows = looked.least.is_none_or(|least| {
            found.bytes > least.bytes.saturating_add(SLACK.0)
                || found.files > least.files.saturating_add(SLACK.1)
        });
        looked.least = looked.least.map_or(Some(found), |least| {
            Some(DiskUse {
                bytes: least.bytes.min(found.bytes),
                files: least.files.min(found.files),
                ..found
            })
        });
        if !grows {
            return DiskCheck::Within;
        }
        looked.killed = Some(kills);
        // Soon again, before much else runs.
        looked.at = None;
        drop(looked);
        let mut state = self.shared.lock();
        if state.kills == kills && !std::mem::replace(&mut state.exceeding, true) {
            let reason = format!("killed: the kernel exceeded its {exceeded}");
            // As `exceeded` tells them apart.
            let is_of_files = found.bytes <= limit.bytes && found.files > limit.files;
            let limit = match is_of_files {
                true => Exceeded::files(limit.files),
                false => Exceeded::disk(limit.bytes),
            };
            let _ = self.commands.send(Command::Exceeded(limit, reason));
        }
        DiskCheck::Killed
    }

    /// Reserves room for an upload of this many bytes, if its client says how many, otherwise for as much as there is room
    /// for, and `most` at most. Blocks.
    ///
    /// # Errors
    ///
    /// Why there is no room.
    pub(crate) fn reserve_disk(
        &self,
        bytes: Option<u64>,
        most: u64,
    ) -> Result<Reservation, String> {
        let limit = self.setup.confined.bounds().disk;
        let found = limit.map(|limit| disk::measure(&self.disk_root(), &[], limit));
        let (Some(limit), Some(Ok(found))) = (limit, found) else {
            return Ok(Reservation::default());
        };
        if found.files >= limit.files || found.is_uncountable {
            return Err(exceeded(found, limit).unwrap_or_else(|| files_text(limit)));
        }
        let left = limit.bytes.saturating_sub(found.bytes);
        let (mut wanted, mut others) = (0, 0);
        let reserved = Arc::clone(&self.disk.reserved);
        let _ = reserved.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |all| {
            others = all;
            let left = left.saturating_sub(all);
            wanted = bytes.unwrap_or(most.min(left));
            (wanted <= left).then_some(all.saturating_add(wanted))
        });
        let mut text = format!(
            "the kernel has a disk limit of {}, of which {} are used",
            size(limit.bytes),
            rounded(found.bytes)
        );
        if others > 0 {
            text += &format!(
                ", and {} are kept for other uploads that arrive now",
                rounded(others)
            );
        }
        let room = Room {
            bytes: left.saturating_sub(others),
            files: limit.files - found.files,
            text: text + "; remove files, or create a kernel with more room",
            limit,
        };
        if wanted > room.bytes {
            return Err(room.text);
        }
        Ok(Reservation {
            room: Some(Room {
                // No more than what others do not count on.
                bytes: bytes.map_or(wanted, |_| room.bytes),
                ..room
            }),
            ahead: AtomicU64::new(wanted),
            reserved,
        })
    }
}

impl Reservation {
    /// Whether there is room for this many bytes.
    pub(crate) fn check(&self, bytes: u64) -> Result<(), String> {
        match &self.room {
            Some(room) if bytes > room.bytes => Err(room.text.clone()),
            _ => Ok(()),
        }
    }

    /// Notes that so many more bytes are on the disk, where they are seen: they are not to count twice.
    pub(crate) fn arrived(&self, bytes: u64) {
        let mut taken = 0;
        let _ = self
            .ahead
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |ahead| {
                taken = ahead.min(bytes);
                Some(ahead - taken)
            });
        self.reserved.fetch_sub(taken, Ordering::Relaxed);
    }

    /// Whether there is room for this many files and directories.
    pub(crate) fn check_files(&self, files: u64) -> Result<(), String> {
        match &self.room {
            Some(room) if files > room.files => Err(format!(
                "the kernel has a {}, of which {} are left; remove some",
                files_text(room.limit),
                room.files
            )),
            _ => Ok(()),
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let ahead = self.ahead.load(Ordering::Relaxed);
        self.reserved.fetch_sub(ahead, Ordering::Relaxed);
    }
}

/// Which limit was exceeded, and by what.
fn exceeded(found: DiskUse, limit: DiskLimit) -> Option<String> {
    if found.bytes > limit.bytes {
        let (limit, found) = (size(limit.bytes), rounded(found.bytes));
        Some(format!("disk limit of {limit}: its files take {found}"))
    } else if found.files > limit.files {
        Some(files_text(limit))
    } else if found.is_uncountable {
        Some(
            "disk limit: its directories are too deep, or its open files too many, to be counted"
                .to_owned(),
        )
    } else {
        None
    }
}

fn files_text(limit: DiskLimit) -> String {
    format!("limit of {} files and directories", limit.files)
}

/// A size for people.
fn rounded(bytes: u64) -> String {
    match bytes {
        0..1024 => size(bytes),
        1024..1_048_576 => size(bytes >> 10 << 10),
        _ => size(bytes >> 20 << 20),
    }
}
