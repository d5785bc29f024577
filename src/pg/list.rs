//! Server lists of pointers as Rust iterators and back.
#![allow(unsafe_code)]

use crate::pg::compat;
use pgrx::pg_sys;
use std::ffi::CString;

/// The pointers in `list`, in order; nothing for a null list.
///
/// # Safety
/// `list` is null or a valid list of pointers to `T` that outlives the iteration.
pub unsafe fn pointers<T>(list: *mut pg_sys::List) -> impl Iterator<Item = *mut T> {
    let length = if list.is_null() {
        0
    } else {
        // SAFETY: the caller's list is valid.
        unsafe { (*list).length }
    };
    // SAFETY: the place is within the list.
    (0..length).map(move |at| unsafe { pg_sys::list_nth(list, at).cast::<T>() })
}

/// The integers in `list`, in order; nothing for a null list.
///
/// # Safety
/// `list` is null or a valid list of integers that outlives the iteration.
pub unsafe fn integers(list: *mut pg_sys::List) -> impl Iterator<Item = i32> {
    let length = if list.is_null() {
        0
    } else {
        // SAFETY: the caller's list is valid.
        unsafe { (*list).length }
    };
    // SAFETY: the place is within the list.
    (0..length).map(move |at| unsafe { pg_sys::list_nth_int(list, at) })
}

/// The members of a set, in order; nothing for a null set.
///
/// # Safety
/// `set` is null or a valid set that outlives the iteration.
pub unsafe fn members(set: *mut pg_sys::Bitmapset) -> impl Iterator<Item = i32> {
    let mut member = -1;
    std::iter::from_fn(move || {
        // SAFETY: the caller's set is valid.
        member = unsafe { pg_sys::bms_next_member(set, member) };
        (member >= 0).then_some(member)
    })
}

/// A list of pointers; null when there are none.
///
/// # Safety
/// The pointers belong into a list of nodes of the current memory context.
pub unsafe fn from_pointers<T>(pointers: impl IntoIterator<Item = *mut T>) -> *mut pg_sys::List {
    pointers
        .into_iter()
        .fold(std::ptr::null_mut(), |list, pointer| unsafe {
            // SAFETY: `list` is null or was made here.
            pg_sys::lappend(list, pointer.cast())
        })
}

/// A one-element list that carries `text`: plain data that plans may copy (house 3.5).
pub fn carrying_text(text: &str) -> *mut pg_sys::List {
    let text = CString::new(text).expect("JSON text holds no zero byte");
    // SAFETY: the node's string is copied into the current memory context.
    unsafe {
        let copied = pg_sys::pstrdup(text.as_ptr());
        pg_sys::lappend(std::ptr::null_mut(), compat::string_node(copied))
    }
}

/// The text that [`carrying_text`] packed.
///
/// # Safety
/// `list` was made by [`carrying_text`], or is a copy of such a list.
pub unsafe fn carried_text<'a>(list: *mut pg_sys::List) -> &'a str {
    // SAFETY: the first element is a string node.
    unsafe { crate::pg::catalog::text_of(compat::string_node_text(pg_sys::list_nth(list, 0))) }
}
