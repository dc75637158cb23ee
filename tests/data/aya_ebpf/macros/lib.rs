//! The attributes of the stand-in for aya-ebpf: what they make goes to the sections from which aya loads.

use proc_macro::{TokenStream, TokenTree};

#[proc_macro_attribute]
pub fn btf_tracepoint(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let section = format!("tp_btf/{}", argument(arguments, "function"));
    program(&section, "BtfTracePointContext", item)
}

#[proc_macro_attribute]
pub fn raw_tracepoint(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let section = format!("raw_tp/{}", argument(arguments, "tracepoint"));
    program(&section, "RawTracePointContext", item)
}

#[proc_macro_attribute]
pub fn tracepoint(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let (category, name) = (argument(arguments.clone(), "category"), argument(arguments, "name"));
    program(&format!("tracepoint/{category}/{name}"), "TracePointContext", item)
}

/// The loader finds a map by the name of its static.
#[proc_macro_attribute]
pub fn map(_: TokenStream, item: TokenStream) -> TokenStream {
    parsed(format!("#[no_mangle] #[link_section = \"maps\"] {item}"))
}

/// The kernel calls a function of its own, which hands the context on as one of aya's types.
fn program(section: &str, context: &str, item: TokenStream) -> TokenStream {
    let name = word_after(item.clone(), "fn");
    parsed(format!(
        "#[no_mangle] #[link_section = \"{section}\"]
        pub extern \"C\" fn {name}(ctx: *mut ::core::ffi::c_void) -> u32 {{
            let _ = {name}(::aya_ebpf::programs::{context}::new(ctx));
            return 0;

            {item}
        }}"
    ))
}

/// The text of `name = "text"`.
fn argument(arguments: TokenStream, name: &str) -> String {
    let mut words = arguments.into_iter().skip_while(|word| word.to_string() != name).skip(2);
    words.next().expect("an argument is missing").to_string().trim_matches('"').to_string()
}

fn word_after(item: TokenStream, word: &str) -> TokenTree {
    let mut words = item.into_iter().skip_while(|token| token.to_string() != word);
    words.nth(1).expect("not a function")
}

fn parsed(text: String) -> TokenStream {
    text.parse().expect("Rust")
}
