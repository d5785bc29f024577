//! `bench-floor STATE_DIR fetch` reads all pages of a query and drops them; `bench-floor STATE_DIR decode` has read them
//! before it is measured, and turns their bytes into typed columns. The signals are those of `../python/contest.py`.
//!
//! `bench-floor STATE_DIR token` signs in and prints the token, a test value.
//!
//! `bench-floor STATE_DIR admin METHOD PATH [BODY]` asks the sandbox's own interface and prints the answer.

mod columns;
mod pages;

use std::error::Error;
use std::io::BufRead as _;
use std::path::Path;

use columns::Columns;
use pages::Service;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    match words[..] {
        [state_dir, "fetch"] => runtime.block_on(async {
            let service = Service::sign_in(Path::new(state_dir)).await?;
            ready()?;
            let mut rows = 0;
            let mut next = Some(service.first()?);
            while let Some(path) = next {
                let page = service.page(&path).await?;
                rows = pages::total(&page).unwrap_or(rows);
                next = pages::next(&page).map(str::to_owned);
            }
            done(rows)
        }),
        [state_dir, "decode"] => {
            let pages = runtime.block_on(async {
                let service = Service::sign_in(Path::new(state_dir)).await?;
                let mut pages = Vec::new();
                let mut next = Some(service.first()?);
                while let Some(path) = next {
                    let page = service.page(&path).await?;
                    next = pages::next(&page).map(str::to_owned);
                    pages.push(page);
                }
                Ok::<_, Box<dyn Error>>(pages)
            })?;
            let mut columns = Columns::from_environment()?;
            ready()?;
            let mut rows = 0;
            for page in &pages {
                columns.clear();
                rows += columns.read(page)?;
            }
            done(rows)
        }
        [state_dir, "token"] => runtime.block_on(async {
            println!("{}", Service::sign_in(Path::new(state_dir)).await?.token());
            Ok(())
        }),
        [state_dir, "admin", method, path] => {
            runtime.block_on(pages::admin(Path::new(state_dir), method, path, None))
        }
        [state_dir, "admin", method, path, body] => {
            runtime.block_on(pages::admin(Path::new(state_dir), method, path, Some(body)))
        }
        _ => Err(
            "usage: bench-floor STATE_DIR fetch | decode | token | admin METHOD PATH [BODY]".into(),
        ),
    }
}

/// Says that all is ready, and waits until it is time.
fn ready() -> Result<(), Box<dyn Error>> {
    println!("ready");
    wait()
}

/// Says how many records there were, and waits until that has been taken note of.
fn done(rows: usize) -> Result<(), Box<dyn Error>> {
    println!("done {rows}");
    wait()
}

fn wait() -> Result<(), Box<dyn Error>> {
    std::io::stdin().lock().read_line(&mut String::new())?;
    Ok(())
}
