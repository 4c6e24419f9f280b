import { render } from "preact";
import "../shared/base.css";
import { addTexts, language, startLanguage } from "../shared/i18n";
import { staffTexts } from "../shared/texts_staff";
import { Enter } from "./enter";
import "./enter.css";

addTexts(staffTexts);
startLanguage(null);
document.documentElement.lang = language.value;
render(<Enter />, document.getElementById("app") as HTMLElement);
