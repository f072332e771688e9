//! The allocator of a plugin: it hands out memory front to back and gives back only the last piece.
//!
//! INVARIANT (one evaluation, one instance): the host starts every evaluation from a fresh copy of
//! the configured plugin and drops it afterwards, so nothing ever needs to be freed. An allocator
//! that keeps no lists is smaller, twice as fast, and uses the pages that the memory begins with
//! instead of growing it. Only for wasm32: native tests use the system's allocator.
#![expect(unsafe_code, reason = "an allocator is unsafe by its nature")]

use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;

/// What is free: from `next` to `end`. Both zero before the first allocation.
struct Bump {
    next: UnsafeCell<usize>,
    end: UnsafeCell<usize>,
}

// SAFETY: a plugin has one thread: the contract has no threads, and the host refuses shared memory.
unsafe impl Sync for Bump {}

#[global_allocator]
static ALLOCATOR: Bump = Bump { next: UnsafeCell::new(0), end: UnsafeCell::new(0) };

const PAGE: usize = 64 << 10;
/// What an evaluation should find free. A request of forty facts takes some 8 KiB, the findings less.
const ROOM: usize = 32 << 10;

/// Makes sure that an evaluation which starts from here need not grow the memory, which would cost it
/// more than all its other allocations together.
pub(crate) fn make_room() {
    // An alignment of one always makes a layout. What is set aside is given back at once, as it is
    // the last piece.
    if let Ok(layout) = Layout::from_size_align(ROOM, 1) {
        // SAFETY: the layout is not empty, and the piece is given back with the layout it was made with.
        unsafe {
            let room = ALLOCATOR.alloc(layout);
            if !room.is_null() {
                ALLOCATOR.dealloc(room, layout);
            }
        }
    }
}

impl Bump {
    /// Sets aside `layout`, and grows the memory where needed. Null when the host gives no more.
    fn reserve(&self, layout: Layout) -> *mut u8 {
        // SAFETY: one thread, and no reference to either cell outlives a line.
        unsafe {
            let next = *self.next.get();
            let Some(start) = next.checked_next_multiple_of(layout.align()) else {
                return core::ptr::null_mut();
            };
            let Some(stop) = start.checked_add(layout.size()) else { return core::ptr::null_mut() };
            if stop > *self.end.get() {
                return self.grow(layout);
            }
            *self.next.get() = stop;
            start as *mut u8
        }
    }

    #[cold]
    fn grow(&self, layout: Layout) -> *mut u8 {
        unsafe extern "C" {
            static __heap_base: u8;
        }
        // SAFETY: one thread. `__heap_base` is the linker's: only its address is taken. Memory from
        // there to the end of the current pages belongs to nobody else.
        unsafe {
            if *self.end.get() == 0 {
                *self.next.get() = &raw const __heap_base as usize;
                *self.end.get() = core::arch::wasm32::memory_size(0) * PAGE;
            }
            let needed = (*self.next.get())
                .checked_next_multiple_of(layout.align())
                .and_then(|start| start.checked_add(layout.size()));
            let Some(needed) = needed else { return core::ptr::null_mut() };
            if needed > *self.end.get() {
                let pages = (needed - *self.end.get()).div_ceil(PAGE);
                if core::arch::wasm32::memory_grow(0, pages) == usize::MAX {
                    return core::ptr::null_mut();
                }
                *self.end.get() += pages * PAGE;
            }
        }
        self.reserve(layout)
    }
}

// SAFETY: `reserve` never hands out a byte twice; what `dealloc` and `realloc` take back is the
// last piece handed out, which its owner has just given up.
unsafe impl GlobalAlloc for Bump {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.reserve(layout)
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: one thread.
        unsafe {
            if pointer as usize + layout.size() == *self.next.get() {
                *self.next.get() = pointer as usize;
            }
        }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: one thread; the last piece grows or shrinks in place, any other is copied.
        unsafe {
            let last = pointer as usize + layout.size() == *self.next.get();
            if let Some(stop) = (pointer as usize).checked_add(size)
                && last
                && stop <= *self.end.get()
            {
                *self.next.get() = stop;
                return pointer;
            }
            if size <= layout.size() {
                return pointer;
            }
            let new = self.reserve(Layout::from_size_align_unchecked(size, layout.align()));
            if !new.is_null() {
                core::ptr::copy_nonoverlapping(pointer, new, layout.size());
            }
            new
        }
    }
}
