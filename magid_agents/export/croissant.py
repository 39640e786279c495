"""Croissant 1.1: the same description as the card's, for programs, with responsible-AI fields and provenance.

Written by hand: the library for it does not write every field that conferences ask for.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from magid_agents.export import statements
from magid_agents.export.folder import OutputFolder
from magid_agents.export.licences import SOURCE, Terms, url_of
from magid_agents.export.provenance import AGENTS, CRITIC, Provenance
from magid_agents.export.writer import Table, Writer

CONFORMS_TO = ["http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0"]
CONTEXT: Mapping[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "prov": "http://www.w3.org/ns/prov#",
    "conformsTo": "dct:conformsTo",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}


def write_croissant(
    folder: OutputFolder,
    writer: Writer,
    summary: Mapping[str, Any],
    provenance: Provenance,
    terms: Terms,
) -> None:
    """Write croissant.json. Nothing in it comes from a dialogue, except the assistant's name."""
    splits = list(summary["samples"])
    name, table = statements.title(provenance), writer.table
    described = {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": CONFORMS_TO,
        "name": name.lower().replace(" ", "-"),
        "description": f"{name}: {summary['dialogues']} dialogues, {summary['images']} images, as "
        f"{summary['format']}. README.md counts what was changed.",
        **({"license": url_of(terms.licence)} if terms.licence else {}),
        **({"datePublished": provenance.finished.isoformat()} if provenance.finished else {}),
        "version": "1.0.0",
        "citeAs": f"@misc{{magid, title={{{name}}}, note={{Written by magid-agents}}}}",
        "distribution": [_file_set(table, splits)] if table else [],
        "recordSet": [_record_set(table)] if table and table.columns else [],
        "rai:hasSyntheticData": True,
        "rai:dataUseCases": statements.USES,
        "rai:dataLimitations": statements.LIMITATIONS,
        "rai:dataBiases": statements.BIASES,
        "rai:personalSensitiveInformation": statements.PERSONAL,
        "rai:dataSocialImpact": statements.IMPACT,
        "rai:machineAnnotationTools": list(
            dict.fromkeys(model for agent in AGENTS for model in provenance.models(agent))
        ),
        "prov:wasDerivedFrom": _sources(provenance, terms),
        "prov:wasGeneratedBy": [_activity(agent, provenance) for agent in AGENTS],
    }
    text = json.dumps(described, indent=2, ensure_ascii=False)
    folder.open("croissant.json").write(text.encode(errors="replace") + b"\n")


def _file_set(table: Table, splits: Sequence[str]) -> Mapping[str, Any]:
    names = list(dict.fromkeys(table.files.format(split=split) for split in splits))
    return {
        "@type": "cr:FileSet",
        "@id": "files",
        "name": "files",
        "description": f"The files with the {table.rows}.",
        "encodingFormat": table.media_type,
        "includes": names,
    }


def _record_set(table: Table) -> Mapping[str, Any]:
    return {
        "@type": "cr:RecordSet",
        "@id": table.rows,
        "name": table.rows,
        "field": [
            {
                "@type": "cr:Field",
                "@id": f"{table.rows}/{column}",
                "name": column,
                "dataType": kind,
                "source": {"fileSet": {"@id": "files"}, "extract": {"column": column}},
            }
            for column, kind in table.columns.items()
        ],
    }


def _sources(provenance: Provenance, terms: Terms) -> list[Mapping[str, Any]]:
    licence = terms.parts.get(SOURCE)
    return [
        {
            "@type": "prov:Entity",
            **({"@id": f"urn:sha256:{file.sha256}"} if file.sha256 else {}),
            "prov:label": file.name,
            **({"sc:license": url_of(licence)} if licence else {}),
        }
        for file in provenance.inputs
    ]


def _activity(agent: str, provenance: Provenance) -> Mapping[str, Any]:
    began, ended = provenance.started, provenance.finished
    rules = map(" ".join, provenance.thresholds if agent == CRITIC else [])
    accepts = f" Accepts: {', '.join(rules)}." if agent == CRITIC else ""
    return {
        "@type": "prov:Activity",
        "@id": f"urn:magid:{agent}",
        "prov:label": agent,
        "sc:description": statements.DID[agent] + accepts,
        **({"prov:startedAtTime": began.isoformat()} if began else {}),
        **({"prov:endedAtTime": ended.isoformat()} if ended else {}),
        "prov:wasAssociatedWith": [
            {"@type": "prov:SoftwareAgent", "prov:label": model} for model in provenance.models(agent)
        ],
        "prov:used": [
            {"@type": "prov:Entity", "@id": f"urn:sha256:{sha256}", "prov:label": f"prompt {prompt}"}
            for prompt, sha256 in provenance.prompts(agent)
        ],
    }
