"""Texts, numbers and dates for readers: one message catalogue for each language, in gettext's format.

The English text in the code is the key. ``locale/LANGUAGE/LC_MESSAGES/yieldcast.po`` holds the translations
for tables, figures, terminal, changes and report; a language is there when its file is. The files are read as
they are, without a compiled copy, so that what a translator edits is what readers see. `make messages` brings
them up to date with the code. Error messages are English in every language.
"""

from yieldcast.language.catalogue import Language as Language
from yieldcast.language.catalogue import Sentence as Sentence
from yieldcast.language.catalogue import message as message
from yieldcast.language.catalogue import of as of
from yieldcast.language.catalogue import sentence as sentence
from yieldcast.language.catalogue import tags as tags
