//! One block of memory, touched once: aligned to 2 MB, in huge pages where the system has them.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::ptr::NonNull;

/// The alignment of an arena: a huge page.
const HUGE: usize = 2 << 20;

/// A block of zeroed memory.
#[derive(Debug)]
pub struct Arena {
    start: NonNull<u8>,
    layout: Layout,
}

// SAFETY: an arena is plain memory; who may touch what when is decided by the plan that runs on it.
unsafe impl Send for Arena {}
// SAFETY: as above.
unsafe impl Sync for Arena {}

/// The system has no such block of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{bytes} bytes of memory could not be had")]
pub struct OutOfMemory {
    /// How many were asked for.
    pub bytes: usize,
}

impl Arena {
    /// A block of at least `bytes` bytes.
    pub fn new(bytes: usize) -> Result<Arena, OutOfMemory> {
        let align = if bytes >= HUGE { HUGE } else { 4096 };
        let size = bytes.max(1).div_ceil(align) * align;
        let layout = Layout::from_size_align(size, align).map_err(|_| OutOfMemory { bytes })?;
        // SAFETY: the layout has a size above 0.
        let start = NonNull::new(unsafe { alloc_zeroed(layout) }).ok_or(OutOfMemory { bytes })?;
        if size >= HUGE {
            huge_pages(start, size);
        }
        Ok(Arena { start, layout })
    }

    /// The first byte.
    pub fn start(&self) -> NonNull<u8> {
        self.start
    }

    /// The size in bytes.
    pub fn len(&self) -> usize {
        self.layout.size()
    }

    /// Whether it is empty; it never is.
    pub fn is_empty(&self) -> bool {
        false
    }
}

#[cfg(target_os = "linux")]
fn huge_pages(start: NonNull<u8>, size: usize) {
    // SAFETY: the range is our own allocation; the advice changes nothing but page sizes, and its failure nothing at all.
    unsafe {
        libc::madvise(start.as_ptr().cast(), size, libc::MADV_HUGEPAGE);
    }
}

#[cfg(not(target_os = "linux"))]
fn huge_pages(_: NonNull<u8>, _: usize) {}

impl Drop for Arena {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout, and nobody keeps a view beyond its session.
        unsafe { dealloc(self.start.as_ptr(), self.layout) }
    }
}
