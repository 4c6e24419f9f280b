import { useState } from "preact/hooks";
import { newId } from "../shared/api";
import { t } from "../shared/i18n";
import type { DueQuestionnaire, Question } from "./api";
import type { PatientFace } from "./face";
import { inWords } from "./home";
import { DoneMark, Heading } from "./message";
import { Numbers } from "./scales";

type Answer = string | number | null;
const BUTTONS_MAX = 12;

/** One question per screen; the answers leave together at the end. */
export function QuestionnaireScreen({ face }: { face: PatientFace }) {
  // Held fast: what is read anew meanwhile must not change the questions under the patient's hands.
  const [due] = useState<DueQuestionnaire | undefined>(() => face.home.due.peek()[0]);
  const [answers, setAnswers] = useState<Record<string, Answer>>({});
  const [index, setIndex] = useState(0);
  const questions = due?.definition.questions ?? [];
  const question = questions[index];
  const leave = () => {
    face.page.value = "home";
    void face.home.read(face.isHelper.peek(), true);
  };
  const give = (code: string, answer: Answer) => {
    const all = { ...answers, [code]: answer };
    setAnswers(all);
    setIndex(index + 1);
    if (index + 1 === questions.length && due) keepAnswers(face, due, all);
  };
  if (question === undefined) {
    return (
      <main class="message">
        <DoneMark />
        <Heading title={t("patient.questions.done")} />
        <p class="lead" role="status">
          {t(face.outbox.waiting.value > 0 ? "patient.questions.kept" : "patient.questions.sent")}
        </p>
        <div class="choices">
          <button class="button primary" data-action="questions-done" onClick={leave}>
            {t("patient.receipt.done")}
          </button>
        </div>
      </main>
    );
  }
  return (
    <main class="message page-screen">
      <p class="note">{t("patient.questions.number", { number: index + 1, count: questions.length })}</p>
      <Heading title={inWords(question.text)} />
      <AnswerField key={question.code} question={question} onAnswer={(answer) => give(question.code, answer)} />
      <div class="choices">
        {question.is_required === false && question.kind !== "text" && (
          <button class="button calm" data-action="skip-question" onClick={() => give(question.code, null)}>
            {t("patient.questions.skip")}
          </button>
        )}
        <button class="button calm" data-action="question-back" onClick={() => (index === 0 ? leave() : setIndex(index - 1))}>
          {t("patient.back")}
        </button>
      </div>
    </main>
  );
}

function keepAnswers(face: PatientFace, due: DueQuestionnaire, answers: Record<string, Answer>): void {
  const patientId = face.patientId.peek();
  if (patientId === null) return;
  face.home.due.value = face.home.due.peek().filter((other) => other !== due);
  face.send("PUT", `/api/patients/${patientId}/questionnaire-responses/${newId()}`, {
    code: due.definition.code,
    questionnaire_id: due.questionnaire_id,
    schedule_id: due.schedule_id,
    due_on: due.due_on,
    answers,
    answered_at: new Date().toISOString(),
  });
}

function AnswerField({ question, onAnswer }: { question: Question; onAnswer(answer: Answer): void }) {
  if (question.kind === "choice") {
    return (
      <div class="choices">
        {(question.options ?? []).map((option) => (
          <button class="button calm" data-action={`option-${option.code}`} onClick={() => onAnswer(option.code)}>
            {inWords(option.text)}
          </button>
        ))}
      </div>
    );
  }
  if (question.kind === "text") return <TextField question={question} onAnswer={onAnswer} />;
  const values = valuesOf(question);
  return values.length <= BUTTONS_MAX ? (
    <Numbers values={values} action="answer" onPress={onAnswer} />
  ) : (
    <NumberField question={question} onAnswer={onAnswer} />
  );
}

function valuesOf({ minimum = 0, maximum = 10, step = 1 }: Question): number[] {
  const count = Math.floor((maximum - minimum) / step + 1e-9) + 1;
  return count > BUTTONS_MAX ? Array<number>(count).fill(0) : Array.from({ length: count }, (_, index) => minimum + index * step);
}

/** A wide scale, as 0 to 100: big steps and small ones, by buttons. */
function NumberField({ question, onAnswer }: { question: Question; onAnswer(answer: Answer): void }) {
  const { minimum = 0, maximum = 100, step = 1 } = question;
  const [value, setValue] = useState(minimum + Math.round((maximum - minimum) / 2 / step) * step);
  const move = (steps: number) => setValue(Math.min(maximum, Math.max(minimum, value + steps * step)));
  return (
    <>
      <p class="lead chosen-number" role="status">
        {value}
      </p>
      <div class="choices">
        {[-10, -1, 1, 10].map((steps) => (
          <button class="button calm number" data-action={`move${steps}`} onClick={() => move(steps)}>
            {steps * step > 0 ? `+${steps * step}` : `−${-steps * step}`}
          </button>
        ))}
        <button class="button primary" data-action="answer-number" onClick={() => onAnswer(value)}>
          {t("patient.questions.next")}
        </button>
      </div>
    </>
  );
}

function TextField({ question, onAnswer }: { question: Question; onAnswer(answer: Answer): void }) {
  const [text, setText] = useState("");
  return (
    <>
      <label class="field">
        <span>{t("patient.questions.own_words")}</span>
        <textarea rows={2} maxLength={2000} value={text} onInput={(event) => setText(event.currentTarget.value)} />
      </label>
      <div class="choices">
        <button
          class="button primary"
          data-action="answer-text"
          disabled={question.is_required === true && text.trim() === ""}
          onClick={() => onAnswer(text.trim() === "" ? null : text.trim())}
        >
          {t("patient.questions.next")}
        </button>
      </div>
    </>
  );
}
