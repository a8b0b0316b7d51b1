"""The only way by which server, pages and commands read results of a workspace.

Each function takes (session, workspace, viewer) and returns frozen records that hold only what this viewer
may know: scores rounded to a step and after the Ladder, small cells hidden, names that the owner gave. Exact
scores, predictions, labels, groups (fields, farms) and paths never leave. `to_json` makes JSON of any record.
Times are cut to the minute and compute to three digits, so that the time a model took says little of the rows
that it saw.
"""

from yieldcast.workspace.disclosure.board import leaderboard as leaderboard
from yieldcast.workspace.disclosure.owner import audit_rows as audit_rows
from yieldcast.workspace.disclosure.owner import invoices as invoices
from yieldcast.workspace.disclosure.owner import owner_page as owner_page
from yieldcast.workspace.disclosure.pages import data_page as data_page
from yieldcast.workspace.disclosure.pages import overview as overview
from yieldcast.workspace.disclosure.submissions import own_submissions as own_submissions
from yieldcast.workspace.disclosure.submissions import submission_detail as submission_detail
from yieldcast.workspace.disclosure.views import to_json as to_json
from yieldcast.workspace.disclosure.window import NotAllowedError as NotAllowedError
from yieldcast.workspace.disclosure.window import owner_of as owner_of
