//! Runs a child system call by system call, and lets the n-th of some calls go wrong.
//!
//! The count is of the whole process, whichever of its threads makes the call, so going from the first call to the
//! last misses none. What a fault does is what a kernel could have done: a call that fails was not made, a write that
//! is cut short wrote just as many bytes as it says. (Reading and setting registers is different on each machine; this
//! is for x86-64 alone.)

use std::collections::HashMap;
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::errno::Errno;
use nix::libc;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::check::Output;

/// What happens at a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// The process ends before the call is made.
    Kill,
    /// The call is not made and fails.
    Fail(Errno),
    /// A write writes only its first so many thousandths.
    Short(u64),
    /// The same, and the process ends.
    Torn(u64),
    /// A write is not made and says that it was. No kernel does this: the control that shows that a lost write is seen.
    Pretend,
}

/// Which calls are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Calls {
    /// Those that change or sync a file, make, name or remove one, or lock it. What is printed does not count.
    Changes,
    Writes,
    /// From when the log is locked on; before, the program itself is read.
    Reads,
}

impl Calls {
    fn contain(self, call: i64, arguments: [u64; 6]) -> bool {
        let writes = call == libc::SYS_pwrite64;
        match self {
            Self::Writes => writes && arguments[2] > 1,
            Self::Reads => [libc::SYS_pread64, libc::SYS_read].contains(&call) && arguments[0] > 2,
            Self::Changes => {
                let opens_to_write = |flags: u64| flags as i32 & (libc::O_CREAT | libc::O_RDWR) != 0;
                writes || CHANGES.contains(&call) || call == libc::SYS_openat && opens_to_write(arguments[2])
            }
        }
    }
}

const CHANGES: [i64; 13] = [
    libc::SYS_fdatasync,
    libc::SYS_fsync,
    libc::SYS_syncfs,
    libc::SYS_ftruncate,
    libc::SYS_rename,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_unlink,
    libc::SYS_unlinkat,
    libc::SYS_mkdir,
    libc::SYS_mkdirat,
    libc::SYS_flock,
    libc::SYS_fallocate,
];

/// How a run went.
#[derive(Debug)]
pub(crate) struct Traced {
    /// What the child printed.
    pub(crate) lines: Vec<String>,
    /// Its exit status; none if it was killed.
    pub(crate) status: Option<i32>,
    /// Whether there was an n-th call.
    pub(crate) hit: bool,
}

/// Runs a child to its end; `effect` happens at the `n`-th of these calls, from 1.
pub(crate) fn run(mut command: Command, calls: Calls, n: u64, effect: Effect) -> anyhow::Result<Traced> {
    #[expect(unsafe_code, reason = "between fork and exec; ptrace(PTRACE_TRACEME) is one system call")]
    unsafe {
        command.pre_exec(|| Ok(ptrace::traceme()?));
    }
    let output = Output::start(command)?;
    let root = Pid::from_raw(i32::try_from(output.id())?);
    let mut fault = Fault { calls, n, effect, root, started: calls != Calls::Reads, undone: HashMap::new() };
    let status = fault.follow()?;
    Ok(Traced { lines: output.lines()?, status, hit: fault.n == 0 })
}

struct Fault {
    calls: Calls,
    /// Calls until it happens; 0 once it did.
    n: u64,
    effect: Effect,
    root: Pid,
    started: bool,
    /// What must be put right when a thread's call returns.
    undone: HashMap<Pid, Undone>,
}

enum Undone {
    Result(i64),
    Length(u64),
    Kill,
}

impl Fault {
    /// Waits for and continues every thread until the process has ended.
    fn follow(&mut self) -> anyhow::Result<Option<i32>> {
        let mut begun = false;
        loop {
            let (thread, signal) = match waitpid(None, Some(WaitPidFlag::__WALL))? {
                WaitStatus::Exited(pid, code) if pid == self.root => return Ok(Some(code)),
                WaitStatus::Signaled(pid, ..) if pid == self.root => return Ok(None),
                WaitStatus::PtraceSyscall(pid) => {
                    gone_is_fine(self.at(pid))?;
                    (pid, None)
                }
                // The first stop is that of `exec`.
                WaitStatus::Stopped(pid, Signal::SIGTRAP) if !begun => {
                    begun = true;
                    let options = Options::PTRACE_O_TRACESYSGOOD
                        | Options::PTRACE_O_TRACECLONE
                        | Options::PTRACE_O_EXITKILL;
                    ptrace::setoptions(pid, options)?;
                    (pid, None)
                }
                // So does a new thread.
                WaitStatus::Stopped(pid, Signal::SIGSTOP) | WaitStatus::PtraceEvent(pid, ..) => (pid, None),
                WaitStatus::Stopped(pid, signal) => (pid, Some(signal)),
                _ => continue,
            };
            gone_is_fine(ptrace::syscall(thread, signal))?;
        }
    }

    /// A thread is at the start or the end of a call.
    fn at(&mut self, thread: Pid) -> nix::Result<()> {
        let info = ptrace::syscall_info(thread)?;
        match info.op {
            libc::PTRACE_SYSCALL_INFO_ENTRY => {
                #[expect(unsafe_code, reason = "`op` says which member of the union is meant")]
                let entry = unsafe { info.u.entry };
                self.entry(thread, entry.nr as i64, entry.args)
            }
            libc::PTRACE_SYSCALL_INFO_EXIT => self.exit(thread),
            _ => Ok(()),
        }
    }

    fn entry(&mut self, thread: Pid, call: i64, arguments: [u64; 6]) -> nix::Result<()> {
        self.started |= call == libc::SYS_flock;
        if self.n == 0 || !self.started || !self.calls.contain(call, arguments) {
            return Ok(());
        }
        self.n -= 1;
        if self.n > 0 {
            return Ok(());
        }
        let mut registers = ptrace::getregs(thread)?;
        let whole = registers.rdx;
        let part = |thousandths: u64| (whole * thousandths / 1000).clamp(1, whole.saturating_sub(1).max(1));
        let undone = match self.effect {
            Effect::Kill => return kill(self.root, Signal::SIGKILL),
            Effect::Fail(errno) => {
                registers.orig_rax = u64::MAX;
                Undone::Result(-i64::from(errno as i32))
            }
            Effect::Pretend => {
                registers.orig_rax = u64::MAX;
                Undone::Result(whole as i64)
            }
            Effect::Short(thousandths) => {
                registers.rdx = part(thousandths);
                Undone::Length(whole)
            }
            Effect::Torn(thousandths) => {
                registers.rdx = part(thousandths);
                Undone::Kill
            }
        };
        self.undone.insert(thread, undone);
        ptrace::setregs(thread, registers)
    }

    fn exit(&mut self, thread: Pid) -> nix::Result<()> {
        let Some(undone) = self.undone.remove(&thread) else { return Ok(()) };
        let mut registers = ptrace::getregs(thread)?;
        match undone {
            Undone::Result(result) => registers.rax = result.cast_unsigned(),
            // The program believes that the kernel leaves this register alone.
            Undone::Length(whole) => registers.rdx = whole,
            Undone::Kill => return kill(self.root, Signal::SIGKILL),
        }
        ptrace::setregs(thread, registers)
    }
}

/// A thread may end while it is looked at.
fn gone_is_fine(result: nix::Result<()>) -> nix::Result<()> {
    if result == Err(Errno::ESRCH) { Ok(()) } else { result }
}
