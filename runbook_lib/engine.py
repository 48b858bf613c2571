"""
The papermill engine `runbook`: `papermill --engine runbook IN OUT -p NAME VALUE`.

papermill loads this module while it is itself being imported, so nothing here may import papermill before it is used.
"""

from __future__ import annotations

from typing import Any

__all__ = ["RunbookEngine"]


class RunbookEngine:
    """
    Refuse unknown and ill-typed parameters before a kernel starts; papermill itself only logs them.
    """

    @classmethod
    def execute_notebook(cls, nb: Any, kernel_name: str, **options: Any) -> Any:
        """
        Check the parameters, then execute.

        Raises:
            InvalidParameters: before a kernel starts and before anything is written.
        """
        from runbook_lib.executing import execute

        return execute(nb, kernel_name, **options)

    @staticmethod
    def nb_kernel_name(nb: Any, name: str | None = None) -> str:
        """
        Return the kernel's name, as papermill's own engine does.
        """
        from papermill.utils import nb_kernel_name

        return str(nb_kernel_name(nb, name))

    @staticmethod
    def nb_language(nb: Any, language: str | None = None) -> str:
        """
        Return the notebook's language, as papermill's own engine does.
        """
        from papermill.utils import nb_language

        return str(nb_language(nb, language))
