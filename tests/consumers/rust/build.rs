// Links the static library that is installed in QSGD_PREFIX.
fn main() {
    let prefix = std::env::var("QSGD_PREFIX").expect("QSGD_PREFIX: where libqsgd is installed");
    println!("cargo:rerun-if-env-changed=QSGD_PREFIX");
    println!("cargo:rustc-link-search=native={prefix}/lib");
    println!("cargo:rustc-link-lib=static=qsgd");
}
