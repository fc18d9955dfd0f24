"""The door for admins: states are filtered, searched and deleted; policies and rules are written; everything that
people decided is read-only."""

from django.contrib import admin

from recovery.admin.approvals import DecisionAdmin, ProposalVersionAdmin, RequestAdmin, ResolutionAdmin, ResumptionAdmin
from recovery.admin.delegations import DelegationAdmin
from recovery.admin.policies import PolicyAdmin
from recovery.admin.records import ArtifactAdmin, AuditAdmin
from recovery.admin.rules import RuleAdmin
from recovery.admin.states import StateAdmin

__all__ = [
    "ArtifactAdmin",
    "AuditAdmin",
    "DecisionAdmin",
    "DelegationAdmin",
    "PolicyAdmin",
    "ProposalVersionAdmin",
    "RequestAdmin",
    "ResolutionAdmin",
    "ResumptionAdmin",
    "RuleAdmin",
    "StateAdmin",
]

admin.site.site_header = "Administration"
admin.site.site_title = "Administration"
admin.site.index_title = "Everything that is stored"
