"""What the README of an archive says, in both languages."""

from __future__ import annotations

from typing import Final

README: Final = """\
Passerelle: everything that is kept of a person / tout ce qui est gardé d'une personne
=====================================================================================

Each line: the file, then what it is. Where several people are in one archive, each has a folder.
Chaque ligne : le fichier, puis ce qu'il contient. S'il y a plusieurs personnes, chacune a son dossier.

manifest.json
  EN  The list of all files with their size, number of rows and SHA-256; the head of the access log.
      Check it with: passerelle export --check FILE.zip
  FR  La liste de tous les fichiers avec leur taille, leur nombre de lignes et leur SHA-256 ; la tête du
      journal des accès. À vérifier avec : passerelle export --check FICHIER.zip
person.json
  EN  The person: name, identifier (UUID), time zone.
  FR  La personne : nom, identifiant (UUID), fuseau horaire.
observations.fhir.json
  EN  The readings as a FHIR R4 Bundle (collection), for other health programs.
  FR  Les mesures en un Bundle FHIR R4 (collection), pour d'autres logiciels de santé.
readings.csv
  EN  The readings as a table: effective time and how it is known, value, unit, status flags, device,
      context, notes; also those that were said to be another's, marked.
  FR  Les mesures en un tableau : heure effective et comment elle est connue, valeur, unité, état,
      appareil, contexte, notes ; aussi celles dites d'une autre personne, marquées.
raw/measurements.jsonl
  EN  Every measurement as the device sent it (hexadecimal), with its key, its characteristic and the
      exact number.
  FR  Chaque mesure telle que l'appareil l'a envoyée (hexadécimal), avec sa clé, sa caractéristique et
      le nombre exact.
raw/quantities.jsonl
  EN  The further numbers of a measurement (a diastolic pressure, for instance).
  FR  Les autres nombres d'une mesure (une pression diastolique, par exemple).
raw/contexts.jsonl
  EN  What was told to the meter around a measurement, as received.
  FR  Ce qui a été dit au lecteur autour d'une mesure, tel que reçu.
raw/refused_frames.jsonl
  EN  What a device sent and nobody could read, as received.
  FR  Ce qu'un appareil a envoyé et que personne n'a pu lire, tel que reçu.
devices.jsonl
  EN  The devices.
  FR  Les appareils.
clock_segments.jsonl
  EN  What places the readings in time: effective time = recorded_at + shift; also what was believed
      before.
  FR  Ce qui place les mesures dans le temps : heure effective = recorded_at + décalage ; aussi ce qui
      était cru avant.
annotations.jsonl
  EN  Everything that was said of readings, by whom and when, and what was taken back.
  FR  Tout ce qui a été dit des mesures, par qui et quand, et ce qui a été repris.
settings.jsonl, guardians.jsonl, device_users.jsonl, questions.jsonl
  EN  What the person has chosen (targets of a doctor, for instance), who acts for them, who else
      measures with their devices, and of which readings it was asked whose they are.
  FR  Ce que la personne a choisi (les objectifs d'un médecin, par exemple), qui agit pour elle, qui
      d'autre se sert de ses appareils, et pour quelles mesures il a été demandé à qui elles sont.
shares.jsonl, grants.jsonl, spaces.jsonl
  EN  What was given to whom, until when. The keys of links are not in it.
  FR  Ce qui a été donné à qui, jusqu'à quand. Les clés des liens n'y sont pas.
access_log.jsonl
  EN  Who looked, when, at what; each entry with its salt, its digest and its place in the chain.
  FR  Qui a regardé, quand, quoi ; chaque entrée avec son sel, son empreinte et sa place dans la chaîne.
receipts.jsonl, retention.jsonl
  EN  What was erased and which spaces confirmed it; what is kept for how long.
  FR  Ce qui a été effacé et quels espaces l'ont confirmé ; ce qui est gardé combien de temps.

recorded_at is the time as the device wrote it, taken as if UTC; a date of 1900-01-01 stands for an
unknown one.
recorded_at est l'heure écrite par l'appareil, prise comme si elle était en UTC ; 1900-01-01 veut dire
inconnue.
"""
