//! A small rule with twenty attributes, built the way the SDK builds: one page of memory and an
//! allocator that only moves forward, since an instance lives for one call.

use std::alloc::{GlobalAlloc, Layout};
use std::sync::OnceLock;

wit_bindgen::generate!({ path: "../../../wit/0.1.0", world: "plugin" });

use exports::assent::plugin::rules::*;

struct Bump;

#[global_allocator]
static ALLOCATOR: Bump = Bump;

static mut NEXT: usize = 0;
static mut END: usize = 0;

// SAFETY: the guest has one thread; blocks are handed out once, in order, and never reused except
// for the last one.
unsafe impl GlobalAlloc for Bump {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        unsafe {
            if END == 0 {
                unsafe extern "C" {
                    static __heap_base: u8;
                }
                NEXT = &raw const __heap_base as usize;
                END = core::arch::wasm32::memory_size(0) << 16;
            }
            let start = (NEXT + layout.align() - 1) & !(layout.align() - 1);
            let end = start + layout.size();
            if end > END {
                let pages = (end - END + 0xffff) >> 16;
                if core::arch::wasm32::memory_grow(0, pages) == usize::MAX {
                    return core::ptr::null_mut();
                }
                END += pages << 16;
            }
            NEXT = end;
            start as *mut u8
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        unsafe {
            if block as usize + layout.size() == NEXT {
                NEXT = block as usize;
            }
        }
    }
}

/// The settings as `configure` keeps them: words, so that there is something to parse and to keep.
static SETTINGS: OnceLock<Vec<String>> = OnceLock::new();

struct Small;
export!(Small);

impl Guest for Small {
    fn describe() -> Description {
        Description {
            name: "small".into(),
            version: "0.1.0".into(),
            summary: "denies patients whose state is in the settings".into(),
            settings_schema: "{}".into(),
            needs: Needs {
                attributes: (0..20).map(|i| format!("patient.a{i}")).collect(),
                memberships: vec![],
                relations: vec![],
                approvals: vec![],
                consents: false,
                disclosure_decisions: false,
                value_sets: vec![],
            },
        }
    }

    fn configure(settings: String) -> Result<(), Vec<Problem>> {
        let words = settings.split(|c: char| !c.is_ascii_alphanumeric());
        let words = words.filter(|word| !word.is_empty()).map(str::to_owned).collect();
        SETTINGS.set(words).map_err(|_| vec![Problem { path: String::new(), message: "configured twice".into() }])
    }

    fn evaluate(request: Request) -> Result<Findings, String> {
        let refused = SETTINGS.get().ok_or("not configured")?;
        let hit = request.attributes.iter().any(
            |value| matches!(value, Value::Scalar(Scalar::Text(text)) if refused.iter().any(|word| word == text)),
        );
        let denial = || Denial {
            code: "S1".into(),
            message: "Not from there.".into(),
            ground: Ground::OrganizationPolicy,
            citation: None,
            remedies: vec![],
            neutral: false,
        };
        Ok(Findings {
            obligations: vec![Obligation { code: ObligationCode::Audit, parameters: vec![] }],
            advice: vec![],
            denials: hit.then(denial).into_iter().collect(),
            reviews: vec![],
            notes: vec![],
        })
    }
}
