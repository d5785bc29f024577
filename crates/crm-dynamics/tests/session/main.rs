//! Sessions against a server that answers as each test says.

mod reading;
mod signin;
mod support;
