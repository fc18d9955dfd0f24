"""What an account may do is what Django says, read with one query."""

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import Group, Permission

pytestmark = pytest.mark.django_db


def fresh(user):
    return get_user_model().objects.get(pk=user.pk)


@pytest.fixture
def ada():
    """She has one permission herself, one by each of two groups, and one both ways."""
    user = get_user_model().objects.create_user("ada")
    permissions = {one.codename: one for one in Permission.objects.all()}
    user.user_permissions.add(permissions["view_state"], permissions["add_state"])
    for name, codenames in {"leads": ["decide_approvalrequest", "add_state"], "others": ["start_state"]}.items():
        group = Group.objects.create(name=name)
        group.permissions.add(*(permissions[codename] for codename in codenames))
        user.groups.add(group)
    Group.objects.create(name="not hers").permissions.add(permissions["delete_state"])
    return user


def test_permissions_of_a_person_and_of_their_groups_come_with_one_query(ada, django_assert_num_queries):
    person = fresh(ada)

    with django_assert_num_queries(1):
        granted = person.get_all_permissions()
        assert person.has_perm("recovery.decide_approvalrequest")
        assert not person.has_perm("recovery.delete_state")

    assert granted == {f"recovery.{name}_state" for name in ("view", "add", "start")} | {
        "recovery.decide_approvalrequest"
    }
    assert granted == ModelBackend().get_all_permissions(fresh(ada))


def test_who_holds_the_result_cannot_change_what_is_granted(ada):
    ada = fresh(ada)
    ada.get_all_permissions().add("recovery.delete_state")

    assert not ada.has_perm("recovery.delete_state")


@pytest.mark.parametrize(("flags", "may"), [({"is_active": False}, False), ({"is_superuser": True}, True)])
def test_inactive_people_have_none_and_superusers_all(ada, flags, may):
    get_user_model().objects.filter(pk=ada.pk).update(**flags)

    person = fresh(ada)

    assert person.has_perm("recovery.view_state") is may
    assert person.has_perm("recovery.delete_state") is may
    assert person.get_all_permissions() == ModelBackend().get_all_permissions(fresh(ada))
