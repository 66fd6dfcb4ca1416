//! The service, written without a `.proto` file: no protoc is needed.

use tonic_build::manual::{Builder, Method, MethodBuilder, Service};

fn method(name: &str, route: &str, input: &str, output: &str) -> MethodBuilder {
    Method::builder()
        .name(name)
        .route_name(route)
        .input_type(input)
        .output_type(output)
        .codec_path("tonic_prost::ProstCodec")
}

fn main() {
    let sink = method("sink", "Sink", "crate::Message", "crate::Number").client_streaming();
    let echo = method("echo", "Echo", "crate::Number", "crate::Number");
    let echo = echo.client_streaming().server_streaming();
    let call = method("call", "Call", "crate::Number", "crate::Number");
    let service = Service::builder().package("rival").name("Rival");
    let service = service
        .method(sink.build())
        .method(echo.build())
        .method(call.build())
        .build();
    Builder::new().compile(&[service]);
}
