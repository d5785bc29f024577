//! One set of features for the libraries that several packages use.
//!
//! Cargo compiles a library anew for each set of features that a selection of packages asks for: the extension, the
//! sandbox and the tests would each build the whole stack of HTTP and signing again. This package asks for the union,
//! and those three depend on it. It holds no code. Its list is written by `cargo hakari generate`.
