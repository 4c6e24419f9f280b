import { render } from "preact";
import "../shared/base.css";
import { language, startLanguage } from "../shared/i18n";
import { Enter } from "./enter";
import "./enter.css";

startLanguage(null);
document.documentElement.lang = language.value;
render(<Enter />, document.getElementById("app") as HTMLElement);
