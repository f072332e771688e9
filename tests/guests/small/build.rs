//! The whole memory of this guest is one 64 KiB page: stack 16 KiB, the rest for data and heap.
fn main() {
    println!("cargo:rustc-link-arg=-zstack-size=16384");
}
