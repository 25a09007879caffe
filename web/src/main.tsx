import { render } from "preact";
import { startListening } from "./api/events";
import { start } from "./api/session";
import { App } from "./app";
import { applyTheme } from "./state/theme";
import { followStorage } from "./state/storage";
import { startUploads } from "./uploads/queue";
import { startWorker } from "./worker";
import "./style/main.css";

applyTheme();
render(<App />, document.getElementById("app") as HTMLElement);
startListening();
startUploads();
followStorage();
void start();
startWorker();
