//! The page of `aemp run .. http`, in a browser.

use serde_json::json;

use crate::browser::Browser;
use crate::http::address;
use crate::support::{Home, node};

const SCRIPT: &str = "<script>window.evil=1</script><img src=x onerror='window.evil=1'>";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_shows_who_joins_and_what_is_text_stays_text() {
    let home = Home::new(json!({}));
    let arguments = ["run", "nodeid", "r", "binds", "127.0.0.1:*", "http", "0"];
    let running = home.start(&arguments);
    let seed = running.address();
    let page = format!("http://{}/", address(&running));
    let Some(mut browser) = Browser::open(&page, 1000) else {
        return;
    };
    let text = browser.until(|text| text.contains("1 node,"));
    assert!(text.contains("nobody is in a group"), "{text}");
    assert!(!text.contains("latecomer"), "{text}");

    let late = node("latecomer", &seed).await;
    let port = late.port();
    late.register(SCRIPT, &port);
    late.kil(late.port(), aemp::Reason::new([SCRIPT]));
    let text = browser.until(|text| text.matches(SCRIPT).count() == 2);
    assert!(
        text.contains("latecomer") && text.contains("2 nodes"),
        "{text}"
    );
    assert!(text.contains(port.id().as_str()), "{text}");
    // In the picture, too.
    browser.until(|text| text.matches("latecomer").count() >= 3);
    let drawn = "[...document.querySelectorAll('#topology text')].map(t => t.textContent)";
    let drawn = browser.value(drawn);
    assert!(
        drawn.as_array().unwrap().contains(&json!("latecomer")),
        "{drawn}"
    );
    for (expression, wanted) in [
        ("window.evil === undefined", json!(true)),
        (
            "document.querySelectorAll('main script, img, iframe').length",
            json!(0),
        ),
        // Everything is of this node.
        (
            "performance.getEntriesByType('resource').every(r => r.name.startsWith(location.origin))",
            json!(true),
        ),
        (
            "performance.getEntriesByType('resource').length >= 4",
            json!(true),
        ),
    ] {
        assert_eq!(browser.value(expression), wanted, "{expression}");
    }
    // No script of somebody else's would run, if there were one.
    let inline = "new Promise(done => {
        document.addEventListener('securitypolicyviolation', e => done(e.effectiveDirective));
        const script = document.createElement('script');
        script.textContent = 'window.evil = 1';
        document.body.append(script);
    })";
    assert_eq!(browser.value(inline), "script-src-elem");
    assert_eq!(browser.value("window.evil === undefined"), json!(true));

    // Whoever looks is told when nobody answers any more.
    late.shutdown().await;
    drop(running);
    browser.until(|text| text.contains("the node does not answer"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_fits_a_phone_by_day_and_by_night() {
    let home = Home::new(json!({}));
    let arguments = ["run", "nodeid", "r", "binds", "127.0.0.1:*", "http", "0"];
    let running = home.start(&arguments);
    let other = node(&"a-node-with-a-long-name".repeat(4), &running.address()).await;
    let port = other.port();
    other.register(&"group".repeat(40), &port);
    other.kil(other.port(), aemp::Reason::new(["x".repeat(200)]));
    let page = format!("http://{}/", address(&running));
    let Some(mut browser) = Browser::open(&page, 360) else {
        return;
    };
    browser.until(|text| text.contains("groupgroup") && text.contains("2 nodes"));
    browser.until(|text| text.contains("xxxx"));
    let drawn = "document.querySelector('#topology svg') !== null";
    while browser.value(drawn) != json!(true) {
        std::thread::sleep(std::time::Duration::from_millis(50)); // a look again, not a wait
    }
    let width = browser.value("document.documentElement.scrollWidth");
    assert_eq!(width, 360);
    let beyond = "[...document.querySelectorAll('body *')]
        .filter(e => e.getBoundingClientRect().right > 360.5).map(e => e.outerHTML.slice(0, 80))";
    assert_eq!(browser.value(beyond), json!([]));

    let back = "getComputedStyle(document.body).backgroundColor";
    let scheme =
        |value: &str| json!({"features": [{"name": "prefers-color-scheme", "value": value}]});
    browser.call("Emulation.setEmulatedMedia", scheme("light"));
    assert_eq!(browser.value(back), "rgb(255, 255, 255)");
    browser.call("Emulation.setEmulatedMedia", scheme("dark"));
    assert_eq!(browser.value(back), "rgb(20, 24, 28)");
    let text = "getComputedStyle(document.querySelector('#topology text')).fill";
    assert_ne!(browser.value(text), "rgb(20, 24, 28)");
    other.shutdown().await;
}
