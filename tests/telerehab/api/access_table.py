"""What every route and channel is for: its policy, and what it does with a patient. A route that is missing here fails.

The last word of a line is the scope that the gate asks for (`telerehab.auth.access`; one of two with `|`), or

- `org`: whoever the policy lets in, and rows of the own organisation only;
- `own`: only what belongs to the reader, or to patients whom the reader may see;
- `-`: no rows of anybody.
"""

from typing import Final

from telerehab.auth.access import Scope

TABLE: Final = """
GET     /                                                       public                     -
GET     /enter                                                  public                     -
GET     /therapist                                              public                     -
GET     /patient                                                public                     -
GET     /office                                                 public                     -
GET     /sensor                                                 public                     -
GET     /healthz                                                public                     -
GET     /readyz                                                 public                     -
ANY     /assets                                                 public                     -
ANY     /ws                                                     care                       own
ANY     /device                                                 device                     -

POST    /api/login                                              public                     -
GET     /api/login                                              first_factor               own
POST    /api/login/totp                                         first_factor               own
POST    /api/login/passkey/options                              public                     -
POST    /api/login/passkey                                      public                     -
POST    /api/enter                                              public                     -
POST    /api/tablet-pairing                                     public                     -
POST    /api/logout                                             public                     -
GET     /api/me                                                 logged_in                  own
GET     /api/my/second-factors                                  account_or_helper          own
POST    /api/my/totp                                            setting_up                 own
POST    /api/my/totp/confirm                                    setting_up                 own
DELETE  /api/my/totp                                            staff                      own
POST    /api/my/passkeys/options                                setting_up                 own
POST    /api/my/passkeys                                        setting_up                 own
DELETE  /api/my/passkeys/{passkey_id}                           account_or_helper          own
GET     /api/my/logins                                          logged_in                  own
DELETE  /api/my/logins                                          logged_in                  own
DELETE  /api/my/logins/{login_id}                               logged_in                  own
PUT     /api/my/password                                        setting_up                 own

POST    /api/tablet-pairing-codes                               therapist_or_manager       lend
GET     /api/patients/{patient_id}/tablets                      therapist_or_manager       lend
POST    /api/patients/{patient_id}/tablet-links                 therapist_or_manager       lend
DELETE  /api/tablets/{tablet_id}                                therapist_or_manager       lend
PUT     /api/my/tablet-pin                                      tablet                     own
GET     /api/my/tablet-pin                                      tablet                     own
POST    /api/my/tablet-pin/check                                tablet                     own

POST    /api/patients/{patient_id}/helpers                      therapist_or_tablet        invite
GET     /api/patients/{patient_id}/helpers                      therapist_or_tablet        invite
DELETE  /api/helper-grants/{grant_id}                           therapist_or_tablet        invite
GET     /api/my/patients                                        helper                     own
POST    /api/invitations/look                                   public                     -
POST    /api/invitations/passkey-options                        public                     -
POST    /api/invitations/accept                                 public                     -
GET     /api/patients/{patient_id}/consents                     therapist_or_tablet        invite
POST    /api/patients/{patient_id}/consents                     therapist_or_tablet        invite
DELETE  /api/consents/{consent_id}                              therapist_or_tablet        invite
POST    /api/break-glass                                        therapist                  own
GET     /api/break-glass                                        therapist_or_auditor       own
POST    /api/break-glass/{break_glass_id}/review                auditor                    org
GET     /api/patients/{patient_id}/access-log                   therapist_or_tablet        invite
GET     /api/audit                                              auditor                    org

GET     /api/patients                                           therapist_or_manager       own
POST    /api/patients                                           therapist_or_manager       org
POST    /api/patients/find                                      therapist_or_manager       own
GET     /api/patients/{patient_id}                              therapist_or_manager       identify
PUT     /api/patients/{patient_id}/identity                     therapist_or_manager       assign
POST    /api/patients/{patient_id}/reveal                       therapist_or_manager       assign
POST    /api/patients/{patient_id}/end                          therapist_or_manager       assign
POST    /api/patients/{patient_id}/reopen                       team_manager               assign
GET     /api/patients/{patient_id}/care-relations               therapist_or_manager       identify
POST    /api/patients/{patient_id}/care-relations               therapist_or_manager       assign
DELETE  /api/care-relations/{relation_id}                       therapist_or_manager       assign
GET     /api/patient-imports                                    team_manager               org
POST    /api/patient-imports                                    team_manager               org
POST    /api/patient-imports/{import_id}/undo                   team_manager               org

GET     /api/staff                                              staff                      org
POST    /api/staff                                              admin                      org
PUT     /api/staff/{account_id}                                 admin                      org
POST    /api/staff/{account_id}/link                            admin                      org
POST    /api/staff/{account_id}/disable                         admin                      org
POST    /api/staff/{account_id}/enable                          admin                      org
GET     /api/teams                                              staff                      org
POST    /api/teams                                              manager_or_admin           org
PUT     /api/teams/{team_id}                                    manager_or_admin           org
DELETE  /api/teams/{team_id}                                    manager_or_admin           org
PUT     /api/teams/{team_id}/members                            manager_or_admin           org
GET     /api/substitutions                                      staff                      org
POST    /api/substitutions                                      manager_or_admin           org
DELETE  /api/substitutions/{substitution_id}                    manager_or_admin           org
GET     /api/organisation                                       staff                      org
PUT     /api/organisation                                       admin                      org

GET     /api/patients/{patient_id}/referrals                    therapist_or_tablet        see_results
POST    /api/patients/{patient_id}/referrals                    therapist                  write_care
PUT     /api/referrals/{referral_id}                            therapist                  write_care
GET     /api/groups                                             therapist                  own
POST    /api/groups                                             therapist                  own
GET     /api/groups/{group_id}                                  therapist                  own
PUT     /api/groups/{group_id}                                  therapist                  own
DELETE  /api/groups/{group_id}                                  therapist                  own
PUT     /api/groups/{group_id}/members                          therapist                  own
GET     /api/appointments                                       therapist_or_tablet        own
POST    /api/appointments                                       therapist                  own
PUT     /api/appointments/{appointment_id}                      therapist                  own
POST    /api/appointments/{appointment_id}/cancel               therapist                  own
GET     /api/calendar-feeds                                     therapist_or_tablet        own
POST    /api/calendar-feeds                                     therapist_or_tablet        own
DELETE  /api/calendar-feeds/{feed_id}                           therapist_or_tablet        own
GET     /api/calendar/{token}.ics                               public                     own
GET     /api/patients/{patient_id}/messages                     therapist_or_tablet        converse
PUT     /api/patients/{patient_id}/messages/{message_id}        therapist_or_tablet        converse
POST    /api/patients/{patient_id}/messages/read                therapist_or_tablet        converse

GET     /api/devices                                            therapist_manager_or_admin org
POST    /api/devices                                            manager_or_admin           org
PUT     /api/devices/{device_name}                              manager_or_admin           org
DELETE  /api/devices/{device_name}                              manager_or_admin           org
POST    /api/devices/{device_name}/credential                   manager_or_admin           org
POST    /api/devices/{device_name}/wipe                         therapist_manager_or_admin org
GET     /api/devices/{device_name}/ledger                       manager_or_admin           org
GET     /api/unattributed                                       therapist_manager_or_admin org
GET     /api/kits                                               therapist_manager_or_admin org
POST    /api/kits                                               manager_or_admin           org
DELETE  /api/kits/{kit_id}                                      manager_or_admin           org
GET     /api/patients/{patient_id}/assignments                  therapist_or_manager       identify
POST    /api/patients/{patient_id}/assignments                  therapist_or_manager       lend
POST    /api/assignments/{assignment_id}/end                    therapist_or_manager       lend
POST    /api/assignments/{assignment_id}/phone-link             therapist_or_manager       lend
POST    /api/phone-links/claim                                  public                     -

GET     /api/live-sessions                                      care                       own
POST    /api/live-sessions                                      therapist                  join
GET     /api/live-sessions/{live_session_id}                    care                       own
PUT     /api/training-sessions/{training_session_id}            care                       train
GET     /api/training-sessions/{training_session_id}            care                       see_results|train
POST    /api/training-sessions/{training_session_id}/close      care                       train
GET     /api/training-sessions/{training_session_id}/repetitions  care                     see_results
GET     /api/training-sessions/{training_session_id}/results    care                       see_results
GET     /api/training-sessions/{training_session_id}/ledger     care                       see_results
PUT     /api/training-sessions/{training_session_id}/sets/{set_id}  care                   train
POST    /api/training-sessions/{training_session_id}/sets/{set_id}/end  care               train
POST    /api/training-sessions/{training_session_id}/corrections  therapist                write_care
DELETE  /api/corrections/{correction_id}                        therapist                  write_care
GET     /api/patients/{patient_id}/training-sessions            care                       see_results
POST    /api/retractions                                        therapist                  write_care
GET     /api/patients/{patient_id}/adherence                    care                       see_results
GET     /api/patients/{patient_id}/pauses                       care                       see_plan|see_results
POST    /api/patients/{patient_id}/pauses                       therapist_or_tablet        train
DELETE  /api/pauses/{pause_id}                                  therapist_or_tablet        train

GET     /api/exercises                                          logged_in                  org
POST    /api/exercises                                          therapist                  org
DELETE  /api/exercises/{exercise_id}                            therapist                  org
GET     /api/plan-templates                                     staff                      -
GET     /api/patients/{patient_id}/plan                         care                       see_plan
GET     /api/patients/{patient_id}/plan-versions                care                       see_plan
POST    /api/patients/{patient_id}/plan-versions                therapist                  write_care
GET     /api/patients/{patient_id}/plan-versions/{number}/diff  care                       see_plan
GET     /api/my/today                                           tablet                     own
GET     /api/patients/{patient_id}/today                        care                       see_plan|train
GET     /api/patients/{patient_id}/goals                        care                       see_results
POST    /api/patients/{patient_id}/goals                        therapist                  write_care
PUT     /api/goals/{goal_id}                                    therapist                  write_care
GET     /api/questionnaires                                     staff                      org
POST    /api/questionnaires                                     therapist_or_manager       org
GET     /api/patients/{patient_id}/questionnaire-schedules      care                       see_results
POST    /api/patients/{patient_id}/questionnaire-schedules      therapist                  write_care
DELETE  /api/questionnaire-schedules/{schedule_id}              therapist                  write_care
GET     /api/patients/{patient_id}/questionnaires-due           care                       train
PUT     /api/patients/{patient_id}/questionnaire-responses/{response_id}  care             train
GET     /api/patients/{patient_id}/questionnaire-responses      care                       see_results

PUT     /api/patients/{patient_id}/self-reports/{report_id}     care                       train
GET     /api/alerts                                             therapist                  own
POST    /api/alerts/{alert_id}/acknowledge                      therapist                  write_care
POST    /api/alerts/{alert_id}/confirm                          tablet                     train
GET     /api/patients/{patient_id}/stop                         care                       train
GET     /api/caseload                                           therapist                  own
GET     /api/flags                                              therapist                  own
GET     /api/flags/{flag_id}                                    therapist                  see_results
POST    /api/flags/{flag_id}/actions                            therapist                  write_care
GET     /api/notices                                            logged_in                  own
POST    /api/notices/{notice_id}/read                           logged_in                  own
GET     /api/help-calls                                         therapist_or_tablet        own
POST    /api/help-calls                                         tablet                     own
GET     /api/help-calls/{help_call_id}                          therapist_or_tablet        own
POST    /api/help-calls/{help_call_id}/answer                   therapist                  own
POST    /api/help-calls/{help_call_id}/close                    therapist                  own
POST    /api/help-calls/{help_call_id}/withdraw                 tablet                     own
GET     /api/duties                                             staff                      org
POST    /api/duties                                             manager_or_admin           org
DELETE  /api/duties/{duty_id}                                   manager_or_admin           org
GET     /api/duties/now                                         staff                      org
"""

WORDS: Final = frozenset({"org", "own", "-"})
SCOPES: Final = frozenset(scope.value for scope in Scope)
Route = tuple[str, str]
"""Method and path."""


def read_table() -> dict[Route, tuple[str, str]]:
    """Return, by route, the policy's name and the last word."""
    table: dict[Route, tuple[str, str]] = {}
    for line in filter(None, map(str.strip, TABLE.splitlines())):
        method, path, policy, word = line.split()
        assert word in WORDS or set(word.split("|")) <= SCOPES, line
        assert (method, path) not in table, line
        table[method, path] = (policy, word)
    return table


EXPECTED: Final = read_table()
