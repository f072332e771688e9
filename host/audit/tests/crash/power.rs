//! The power is cut: an ext4 file system forgets all that was not made durable.
//!
//! `EXT4_IOC_SHUTDOWN` without flushing its journal leaves on the (loop) disk what a power cut would. Only
//! receipts that the driver had before the cut count: a sync that overlaps it may be answered.
//! The control runs the same with every sync faked by strace, and must lose data: else this tests nothing.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};

use super::check::{Output, Receipts, all_there, missing, ran, take_receipts};
use super::{Random, Report, child, needs};

const IMAGE_BYTES: u64 = 96 << 20;
const CYCLES_EACH_LOG: u64 = 8;

pub(crate) fn run(cycles: u64, seed: u64) -> anyhow::Result<Report> {
    let mut random = Random::new(seed ^ 0x70_77_72);
    if !ran("mkfs.ext4", &["-V".as_ref()]) {
        return needs("mkfs.ext4", Some("e2fsprogs")).map(Report::skipped);
    }
    let Some(mut disk) = Disk::make()? else {
        return needs("root and loop devices", None).map(Report::skipped);
    };
    let (mut receipts, mut report, mut twice) = (Receipts::new(), Report::default(), 0);
    for cycle in 0..cycles {
        if cycle % CYCLES_EACH_LOG == 0 && cycle > 0 {
            drop(disk);
            disk = Disk::make()?.context("the second disk could not be made")?;
            receipts.clear();
        }
        let context = || format!("power cycle {cycle} of seed {seed}");
        let lines = cut(&disk, &[], (cycle + 1) << 32, random.below(300_000))?;
        report.receipts += take_receipts(&lines, &mut receipts).with_context(context)?;
        report.runs += 1;
        if random.below(3) == 0 {
            // And again while the log recovers from the first cut, or has just gone on.
            let lines = cut_at_start(&disk, (cycle + 1) << 48, random.below(30_000))?;
            report.receipts += take_receipts(&lines, &mut receipts).with_context(context)?;
            twice += 1;
        }
        all_there(&disk.log(), &receipts).with_context(context)?;
    }
    report.faults = report.runs + twice;
    ensure!(report.receipts > 0, "no receipt in {cycles} cycles: nothing was tested");
    report.note = format!("{twice} cut again in recovery; {}", control(seed)?);
    Ok(report)
}

/// Syncs that only pretend.
fn control(seed: u64) -> anyhow::Result<String> {
    let wrapper = super::slow::strace("fdatasync,fsync:retval=0");
    if !ran("strace", &["-V".as_ref()]) {
        return needs("strace for the control", Some("strace"));
    }
    for attempt in 1..=5 {
        let disk = Disk::make()?.context("the control's disk could not be made")?;
        let mut receipts = Receipts::new();
        let lines = cut(&disk, &wrapper, seed << 32, 500_000)?;
        take_receipts(&lines, &mut receipts)?;
        // A log that is gone or does not open has lost what it answered for as well.
        let lost = missing(&disk.log(), &receipts).map_or(receipts.len(), |(_, missing)| missing);
        if lost > 0 {
            return Ok(format!(
                "control without syncs lost {lost} of {} (attempt {attempt})",
                receipts.len()
            ));
        }
    }
    anyhow::bail!("the control lost nothing: these power cuts cut nothing")
}

/// Runs a child, cuts the power after some time, and mounts the disk again.
fn cut(disk: &Disk, wrapper: &[String], base: u64, after_us: u64) -> anyhow::Result<Vec<String>> {
    let mut child = start(disk, wrapper, base)?;
    child.run_for(Duration::from_micros(after_us))?;
    finish(disk, child)
}

/// The same, that long after the start, open or not.
fn cut_at_start(disk: &Disk, base: u64, after_us: u64) -> anyhow::Result<Vec<String>> {
    let child = start(disk, &[], base)?;
    std::thread::sleep(Duration::from_micros(after_us));
    finish(disk, child)
}

fn start(disk: &Disk, wrapper: &[String], base: u64) -> anyhow::Result<Output> {
    Output::start(child::command(wrapper, &disk.log(), base, 64, 1_000_000, child::SEGMENT_BYTES))
}

fn finish(disk: &Disk, mut child: Output) -> anyhow::Result<Vec<String>> {
    let received = child.received();
    shut_down(&disk.mount())?;
    child.kill();
    let (lines, _) = child.end(received)?;
    disk.remount()?;
    Ok(lines)
}

/// `EXT4_IOC_SHUTDOWN` with `EXT4_GOING_FLAGS_NOLOGFLUSH`.
#[expect(unsafe_code, reason = "no safe function has this request; it takes a u32 and writes nothing back")]
fn shut_down(mount: &Path) -> anyhow::Result<()> {
    const EXT4_IOC_SHUTDOWN: rustix::ioctl::Opcode = 0x8004_587d;
    const NOLOGFLUSH: u32 = 2;
    let dir = std::fs::File::open(mount)?;
    unsafe {
        rustix::ioctl::ioctl(&dir, rustix::ioctl::Setter::<EXT4_IOC_SHUTDOWN, u32>::new(NOLOGFLUSH))?;
    }
    Ok(())
}

/// A file with an ext4 file system, mounted.
struct Disk {
    dir: tempfile::TempDir,
}

impl Disk {
    /// `None` where this is not permitted.
    fn make() -> anyhow::Result<Option<Self>> {
        let disk = Self { dir: tempfile::tempdir()? };
        std::fs::create_dir(disk.mount())?;
        std::fs::File::create(disk.image())?.set_len(IMAGE_BYTES)?;
        let image = disk.image();
        let made = ran("mkfs.ext4", &["-q".as_ref(), "-F".as_ref(), image.as_os_str()]);
        Ok((made && disk.remount().is_ok()).then_some(disk))
    }

    fn image(&self) -> std::path::PathBuf {
        self.dir.path().join("image")
    }

    fn mount(&self) -> std::path::PathBuf {
        self.dir.path().join("mount")
    }

    fn log(&self) -> std::path::PathBuf {
        self.mount().join("log")
    }

    fn unmount(&self) -> bool {
        // A killed process may take a moment to let go of it.
        (0..200).any(|_| {
            let mount = self.mount();
            ran("umount", &[mount.as_os_str()]) || {
                std::thread::sleep(Duration::from_millis(20));
                false
            }
        })
    }

    fn remount(&self) -> anyhow::Result<()> {
        let mounted = std::fs::read_to_string("/proc/mounts")?;
        if mounted.contains(&*self.mount().to_string_lossy()) {
            ensure!(self.unmount(), "the disk does not unmount");
        }
        let (image, mount) = (self.image(), self.mount());
        let arguments = ["-o".as_ref(), "loop".as_ref(), image.as_os_str(), mount.as_os_str()];
        ensure!(ran("mount", &arguments), "the disk does not mount");
        Ok(())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.unmount();
    }
}
