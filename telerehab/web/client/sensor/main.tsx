import { render } from "preact";
import "../shared/base.css";
import { addTexts, startLanguage } from "../shared/i18n";
import { sensorTexts } from "../shared/texts_sensor";
import { SensorPage } from "./page";
import { Sensor } from "./sensor";
import "./sensor.css";

addTexts(sensorTexts);
startLanguage(null);
const sensor = new Sensor();
render(<SensorPage sensor={sensor} />, document.getElementById("app") as HTMLElement);
void sensor.open();
