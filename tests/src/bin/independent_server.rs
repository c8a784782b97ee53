//! An MCP server over standard input and output that shares no code with the official ones.

use rmcp::handler::server::router::tool::ToolRouter;
use rmcp::handler::server::wrapper::Parameters;
use rmcp::model::{ServerCapabilities, ServerConfig};
use rmcp::{ServerHandler, ServiceExt as _, schemars, tool, tool_handler, tool_router};

#[derive(Debug, serde::Deserialize, schemars::JsonSchema)]
struct Numbers {
    left: i64,
    right: i64,
}

#[derive(Debug, Clone)]
struct Adding {
    tool_router: ToolRouter<Self>,
}

#[tool_router]
impl Adding {
    #[tool(description = "Adds two numbers")]
    fn add(&self, Parameters(Numbers { left, right }): Parameters<Numbers>) -> String {
        left.saturating_add(right).to_string()
    }
}

#[tool_handler(router = self.tool_router)]
impl ServerHandler for Adding {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let server = Adding { tool_router: Adding::tool_router() };
    let running = server.serve(rmcp::transport::stdio()).await.expect("a client connects");
    running.waiting().await.expect("it ends with its client");
}
